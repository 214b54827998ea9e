-- Whether a token opens its person's places in other organizations too.

-- Not those that an admin has seen, who gives senders theirs: with one of these the admin of one
-- organization would come into another, as whoever has a place in both.
ALTER TABLE tokens ADD COLUMN roams boolean NOT NULL DEFAULT false;
