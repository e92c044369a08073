"""Pages of a long list, forwards and backwards, by id and by date: none is left out or twice."""

from datetime import timedelta

import pytest

from factories import NOW
from rows import change
from wpbridge.action import ActionId
from wpbridge.clock import ZERO_DATE
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.records import Place, Query, Record


@pytest.fixture
def ids(queue: Queue) -> list[ActionId]:
    """Actions of the same dates, of other ones, of the zero date, and without any."""
    new = [Enqueue(hook="h", at=NOW + timedelta(hours=n % 3)) for n in range(14)]
    found = [one for one in queue.enqueue_many(new) if one is not None]
    for date, places in ((None, found[2:6]), (ZERO_DATE, found[7:10])):
        change(
            queue.store,
            "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = :d WHERE action_id IN :i",
            d=date,
            i=places,
        )
    return found


def pages(queue: Queue, *, descending: bool) -> list[Record]:
    """All actions by date, three at a time."""
    found: list[Record] = []
    place: Place | None = None
    while True:
        query = Query(order="date", descending=descending, limit=3, beyond=place)
        page = queue.find(query)
        found += page
        if len(page) < 3:
            return found
        place = Place.read(str(page[-1].place))


def test_pages_by_date_are_the_whole_list(queue: Queue, ids: list[ActionId]) -> None:
    for descending in (False, True):
        whole = queue.find(order="date", descending=descending, limit=0)
        assert sorted(one.id for one in whole) == ids
        assert pages(queue, descending=descending) == whole


def test_pages_by_date_lead_back(queue: Queue, ids: list[ActionId]) -> None:
    whole = queue.find(order="date", limit=0)
    for number in range(3, len(ids)):
        before = queue.find(order="date", descending=True, limit=3, beyond=whole[number].place)
        assert before[::-1] == whole[number - 3 : number]


def test_pages_by_id_go_both_ways(queue: Queue, ids: list[ActionId]) -> None:
    newest = queue.find(order="id", descending=True, limit=5, before_id=ids[9])
    assert [one.id for one in newest] == ids[4:9][::-1]
    assert [one.id for one in queue.find(order="id", after_id=ids[8], limit=2)] == ids[9:11]


def test_what_was_added_later_is_not_meant(queue: Queue, ids: list[ActionId]) -> None:
    assert queue.count(up_to_id=ids[4]) == 5
    assert [
        r.id for page in queue.store.reading.pages(Query(up_to_id=ids[4]), 2) for r in page
    ] == (ids[:5])


@pytest.mark.parametrize(
    "told", ["", "none", "none_", "soon_7", "2026-11-24T12:00:00_x", f"none_{1 << 63}", "none_-1"]
)
def test_a_text_that_is_no_place_is_refused(told: str) -> None:
    with pytest.raises(InputError, match=r"^place: "):
        Place.read(told)


def test_pages_in_an_order_that_would_leave_actions_out_are_refused(queue: Queue) -> None:
    with pytest.raises(InputError, match=r"^before_id: "):
        queue.find(before_id=ActionId(7), order="id")
    with pytest.raises(InputError, match=r"^beyond: "):
        Query(beyond=Place(NOW, True, ActionId(1)), order="id")
