-- For the page of those who run the service: what is under way, and what came to no good lately.
CREATE INDEX deliveries_by_state ON deliveries (state, state_since);
