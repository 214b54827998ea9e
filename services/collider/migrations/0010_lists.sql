-- Phones of contact lists stand in the line for look-ups too, behind those that texts wait for.
ALTER TABLE look_ups
    ADD COLUMN for_text boolean NOT NULL DEFAULT true,   -- texts may wait for it: it goes first
    ADD COLUMN for_list boolean NOT NULL DEFAULT false;  -- what is found is told
DROP INDEX look_ups_in_line;
CREATE INDEX look_ups_in_line ON look_ups (for_text, org_id, asked_at);
