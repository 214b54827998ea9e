-- Follow-ups that came too late for the number that they were launched with: it is theirs no longer,
-- and may be another organization's by now. Heard before the launch, it holds all the same.

ALTER TABLE campaigns ADD COLUMN has_no_number boolean NOT NULL DEFAULT false;
