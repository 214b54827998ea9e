"""All SQL of the provisioner, each statement beside the function that runs it."""
