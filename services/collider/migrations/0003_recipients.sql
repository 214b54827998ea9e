-- Recipients' carriers, and the line of phones that wait for a look-up.

-- Alone of all tables without an organization in its key: whose subscriber a phone is is a fact
-- about the phone and nobody's secret. One look-up, which costs money, serves all organizations, and
-- what a receipt to one of them corrects is right for the others. Nothing of theirs stands in it.
-- Should the tables be distributed by organization one day, this is the one to copy to every node.
CREATE TABLE recipients (
    phone    text COLLATE "C" PRIMARY KEY,
    carrier  text NOT NULL,
    source   text NOT NULL CHECK (source IN ('look-up', 'receipt')),
    known_at timestamptz NOT NULL
);

-- The line has its organizations, though: they take turns, so that a million phones of one do not
-- keep another's ten waiting. A row is there for as long as texts to its phone wait for its carrier.
CREATE TABLE look_ups (
    org_id   text COLLATE "C" NOT NULL,
    phone    text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL,
    due_at   timestamptz NOT NULL,                 -- the next try; while one is under way, its lease
    tries    int NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, phone)
);
CREATE INDEX look_ups_in_line ON look_ups (org_id, asked_at);

-- A text whose recipient's carrier is looked up is `unrouted`, as one whose campaign is not known
-- yet: it may be both. Until then its carrier says `other`, which is how it goes when no look-up
-- helps.
ALTER TABLE messages ADD COLUMN awaits_carrier boolean NOT NULL DEFAULT false;
CREATE INDEX messages_awaiting_carrier ON messages (org_id, phone)
    WHERE status = 'unrouted' AND awaits_carrier;
-- Who looks for texts that a launch has made routable must not walk through all that wait for a
-- look-up.
CREATE INDEX messages_awaiting_launch ON messages (org_id, campaign_id)
    WHERE status = 'unrouted' AND NOT awaits_carrier;
