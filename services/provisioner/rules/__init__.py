"""How orders and numbers go on, what carriers' words come to, what differs. Pure."""
