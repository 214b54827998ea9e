"""Keys as statements take them."""

from collections.abc import Collection

Key = tuple[str, str]
"""Organization, and an id (or a number) within it."""


def columns_of(keys: Collection[Key]) -> tuple[list[str], list[str]]:
    """For unnest(), in one order everywhere, so that no two transactions lock crosswise."""
    ordered = sorted(keys)
    return [first for first, _ in ordered], [second for _, second in ordered]
