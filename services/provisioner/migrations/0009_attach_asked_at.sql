-- A held number that is put on its use case again: when that was last asked for, if a request of that
-- time was not answered. It may land yet, after the number was taken off.
ALTER TABLE numbers ADD COLUMN attach_asked_at timestamptz;
