"""How Sluice is run: on this machine (local/), in the demonstration, in a cluster."""
