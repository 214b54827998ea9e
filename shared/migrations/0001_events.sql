-- What every service needs to hear and tell events, in its own schema.

-- Events (or dead letters) that wait to be published. Rows live for milliseconds.
CREATE TABLE outbox (
    position     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic        text NOT NULL,             -- routing key: the events' type, or the dead letters' queue
    count        int NOT NULL,              -- events in the body
    body         bytea NOT NULL,            -- events in JSON form, joined by commas
    dead         boolean NOT NULL DEFAULT false,
    reason       text NOT NULL DEFAULT '',
    field        text NOT NULL DEFAULT '',
    leased_until timestamptz
);

-- Events heard, by source and id, for as long as a duplicate may come.
CREATE TABLE heard (
    key      text COLLATE "C" PRIMARY KEY,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX heard_by_time ON heard USING brin (heard_at);
