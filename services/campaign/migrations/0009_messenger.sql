-- The messenger: tags, canned responses, and what an admin's view of all conversations reads.

-- What an organization says of contacts, in a word each.
CREATE TABLE tags (
    org_id     text COLLATE "C" NOT NULL REFERENCES organizations,
    tag        text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, tag)
);
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tags TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- Of a contact in a campaign, whether they have answered or not: follow-ups choose by them.
CREATE TABLE contact_tags (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    phone       text COLLATE "C" NOT NULL,
    tag         text COLLATE "C" NOT NULL,
    tagged_by   text COLLATE "C" NOT NULL,
    tagged_at   timestamptz NOT NULL,
    PRIMARY KEY (org_id, campaign_id, phone, tag),
    FOREIGN KEY (org_id, campaign_id) REFERENCES campaigns,
    FOREIGN KEY (org_id, tag) REFERENCES tags ON DELETE CASCADE
);
CREATE INDEX contact_tags_by_tag ON contact_tags (org_id, tag, campaign_id);
ALTER TABLE contact_tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contact_tags TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- A campaign's ready answers, in the order in which its admins put them.
CREATE TABLE canned_responses (
    org_id      text COLLATE "C" NOT NULL,
    campaign_id text COLLATE "C" NOT NULL,
    place       int NOT NULL,
    name        text NOT NULL,
    text        text NOT NULL,
    PRIMARY KEY (org_id, campaign_id, place),
    FOREIGN KEY (org_id, campaign_id) REFERENCES campaigns
);
ALTER TABLE canned_responses ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON canned_responses TO sluice_campaign_api
    USING (org_id = current_setting('sluice.org_id', true));

-- Each list of texts is a walk along one of these, whatever is asked for: a page of a million costs
-- what a page of ten does. They hold what the narrower ones held.
CREATE INDEX messages_by_status ON messages (org_id, status, campaign_id, message_id);
CREATE INDEX messages_of_sender ON messages (org_id, sender_id, status, campaign_id, message_id);
DROP INDEX messages_to_send;
DROP INDEX messages_unclear;

CREATE INDEX conversations_by_campaign ON conversations (org_id, campaign_id, conversation_id);
DROP INDEX conversations_of_sender;
CREATE INDEX conversations_of_sender
    ON conversations (org_id, sender_id, campaign_id, conversation_id);
CREATE INDEX conversations_waiting ON conversations (org_id, campaign_id, conversation_id)
    WHERE waiting;
CREATE INDEX conversations_to_answer
    ON conversations (org_id, sender_id, campaign_id, conversation_id) WHERE waiting;
-- Numbers that are in no list: nothing was sent to them first.
CREATE INDEX conversations_of_strangers ON conversations (org_id, campaign_id, conversation_id)
    WHERE contact_id IS NULL;
-- A STOP closes all talks with a number.
CREATE INDEX conversations_by_phone ON conversations (org_id, phone);
