-- orders.number and numbers.number were of two collations: a comparison of both could use no index
-- of orders, and read all of the organization's (1 ms for each number, with 1,000 orders).
ALTER TABLE orders
    ALTER COLUMN number TYPE text COLLATE "C",
    ALTER COLUMN launched_number TYPE text COLLATE "C";
