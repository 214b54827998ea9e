"""Lists that change while they are read, page by page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.provisioner.rules.listed import ListedNumber, Page, next_page

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def listed(index: int) -> ListedNumber:
    return ListedNumber(f"+1212{index:07d}", None, None, NOW, is_active=True)


@dataclass
class List:
    """A provider's list, newest first, that others add to and take from."""

    size: int
    items: list[int]
    made: int = field(init=False)
    gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.made = len(self.items)

    def change(self, kind: str, share: float) -> None:
        if kind == "buy":
            self.items.insert(0, self.made)
            self.made += 1
        elif self.items:
            self.gone.add(self.items.pop(int(share * len(self.items))))

    def page(self, at: int) -> Page[ListedNumber]:
        shown = self.items[(at - 1) * self.size : at * self.size]
        return Page(tuple(map(listed, shown)), self.size, len(self.items))


def read(things: List, changes: list[list[tuple[str, float]]]) -> set[str]:
    """All that is read; between two pages comes what is to change there."""
    found: set[str] = set()
    at, total = 1, None
    for index in range(1000):
        page = things.page(at)
        found.update(item.number for item in page.items)
        after = next_page(at, page, total)
        if after is None:
            return found
        at, total = after, page.total
        for change in changes[index] if index < len(changes) else ():
            things.change(*change)
    raise AssertionError("it has no end")


CHANGE = st.tuples(st.sampled_from(["buy", "give back"]), st.floats(0, 0.999))


@given(
    size=st.integers(1, 7),
    count=st.integers(0, 40),
    changes=st.lists(st.lists(CHANGE, max_size=12), max_size=20),
)
def test_nothing_that_was_there_all_along_is_passed_over(
    size: int, count: int, changes: Any
) -> None:
    things = List(size, list(range(count)))
    before = set(things.items)
    found = read(things, changes)
    assert {listed(one).number for one in before - things.gone} <= found


def test_a_list_that_stays_as_it_is_is_read_once() -> None:
    things = List(10, list(range(25)))
    asked = [1]
    while (after := next_page(asked[-1], things.page(asked[-1]), 25)) is not None:
        asked.append(after)
    assert asked == [1, 2, 3]
    assert next_page(1, things.page(1), None) == 2


def test_what_is_given_back_meanwhile_has_the_page_before_read_again() -> None:
    things = List(10, list(range(30)))
    assert next_page(2, things.page(2), 30) == 3
    things.change("give back", 0)
    assert next_page(3, things.page(3), 30) == 2
    assert next_page(2, things.page(2), 29) == 3
    assert next_page(3, things.page(3), 29) is None


def test_as_many_pages_are_read_again_as_have_moved() -> None:
    things = List(10, list(range(100)))
    for _ in range(21):
        things.change("give back", 0)
    assert next_page(7, things.page(7), 100) == 4
    for _ in range(79):
        things.change("give back", 0)
    assert next_page(4, things.page(4), 79) == 1
    assert next_page(1, things.page(1), 0) is None
