"""All SQL of the campaign service, one file a resource.

Every function takes the organization, and every statement names it; ids are made by the caller.
"""
