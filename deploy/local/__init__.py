"""Sluice on one machine: private servers, the platform's processes, the set-up and the checks."""
