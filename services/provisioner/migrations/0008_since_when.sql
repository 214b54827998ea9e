-- A carrier's word is repeated with every later one about the same number: `at` is when it was heard
-- last (what comes late is older), `since` when it first said so, which people are shown.
ALTER TABLE confirmations ADD COLUMN since timestamptz; -- null: since `at`
