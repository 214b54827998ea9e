-- How posts to an organization's webhook fare, as the notifier told last.

ALTER TABLE webhooks
    ADD COLUMN version        int NOT NULL DEFAULT 0,  -- as its settings were told last. 0: before
                                                       -- it was kept here
    ADD COLUMN state          text,                    -- null: nothing was posted by these settings
    ADD COLUMN state_since    timestamptz,
    ADD COLUMN error          text,
    ADD COLUMN state_revision int NOT NULL DEFAULT 0;  -- of what was told of these settings
