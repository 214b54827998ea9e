-- Which notices are wanted, and where organizations have theirs posted to. Each row is the whole
-- state, as its highest version said.

CREATE TABLE admin_settings (
    org_id  text COLLATE "C" NOT NULL,
    email   text COLLATE "C" NOT NULL,  -- in small letters
    version int NOT NULL,
    notices jsonb NOT NULL,             -- kinds, as e-mails
    PRIMARY KEY (org_id, email)
);

CREATE TABLE webhook_settings (
    org_id         text COLLATE "C" PRIMARY KEY,
    version        int NOT NULL,
    notices        jsonb NOT NULL,      -- kinds
    url            text,                -- null: nothing is posted
    secret_version int NOT NULL,
    rotated_at     timestamptz,         -- when this version of the secret was first heard of
    gone_at        timestamptz          -- the receiver wants no more, until the settings change
);
