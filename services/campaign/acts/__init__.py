"""Acts: what a person or a due row has done, each a transaction's work."""
