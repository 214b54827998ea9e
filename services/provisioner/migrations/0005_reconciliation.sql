-- What the provider's lists and our rows disagree on, and when that was looked at.

-- One row: any replica may take the run that is due.
CREATE TABLE reconciliations (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    due_at   timestamptz NOT NULL DEFAULT '-infinity', -- while leased: when that ends
    lease    text,                                 -- whoever holds it may record
    begun_at timestamptz,
    ended_at timestamptz,                          -- the last run that came to its end
    numbers  int,                                  -- how many the provider had then
    tries    int NOT NULL DEFAULT 0,               -- runs that came to nothing, in a row
    error    text                                  -- of the last one, for people
);
INSERT INTO reconciliations DEFAULT VALUES;

CREATE TABLE differences (
    org_id        text COLLATE "C" NOT NULL,       -- empty: of a number that is nobody's here
    number        text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,       -- services/provisioner/reconcile.py: Kind
    said          text NOT NULL,                   -- what differs, for people
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,            -- begin of the last run that saw it
    mended_at     timestamptz,                     -- since when it is on its way to be mended
    PRIMARY KEY (org_id, number, kind)
);

-- The provider's lists know references and numbers, and no organizations.
CREATE INDEX orders_by_id ON orders (order_id);
CREATE INDEX orders_with_number ON orders (number) WHERE number IS NOT NULL;

-- The provider shows a held number on no use case: it is put on its own again.
ALTER TABLE numbers ADD COLUMN astray_since timestamptz;
