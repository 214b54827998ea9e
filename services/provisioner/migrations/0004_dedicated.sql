-- Numbers that a use case keeps for many campaigns, and what a launch says of its number.

ALTER TABLE orders
    ADD COLUMN nearby    boolean NOT NULL DEFAULT true,  -- other area codes of the state will do
    ADD COLUMN dedicated boolean NOT NULL DEFAULT false; -- by its use case's dedicated number

-- What is searched after the preferred area codes is another list now.
UPDATE orders SET preference = 0 WHERE purchased_at IS NULL AND due_at IS NOT NULL;

-- No archive gives a dedicated number back. A use case has one at most.
ALTER TABLE numbers ADD COLUMN dedicated boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX dedicated_numbers ON numbers (org_id, use_case_id) WHERE dedicated;
