"""All SQL of the notifier, each statement beside the function that runs it."""
