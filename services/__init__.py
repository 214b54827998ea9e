"""One package a service; they meet in shared.events and nowhere else."""
