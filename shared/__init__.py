"""Mechanism, the public events, and the pure rules that two services need.

Services import from here and never from each other; nothing here imports a service.
"""
