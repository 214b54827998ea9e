-- How posts to each organization's webhook fare, by its settings as they are: what it was told last.

ALTER TABLE webhook_settings
    ADD COLUMN reception          text,         -- working, failing, stopped; null: no try yet, and
                                                -- what follows says nothing
    ADD COLUMN reception_reason   text,
    ADD COLUMN reception_since    timestamptz,
    ADD COLUMN reception_revision int,
    -- Who had said that they want no more is asked once more: nobody was told of it.
    DROP COLUMN gone_at;
