"""The HTTP API: one file a resource, each ending with its table of routes."""
