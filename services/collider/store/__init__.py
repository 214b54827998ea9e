"""All SQL of the collider, one file for each part of a message's way."""
