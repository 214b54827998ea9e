"""Rules: pure functions and frozen values; no await, no SQL, no clock, no log."""
