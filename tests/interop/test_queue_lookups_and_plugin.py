"""Looking up, listing and canceling: the same answers from the plugin's functions and the queue.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN). Each test has one table of all there can be, and
puts many questions about it to both sides.
"""

from collections.abc import Sequence
from typing import Any, Final

import pytest

from both_sides import BothSides, Call
from wpbridge.clock import from_timestamp
from wpbridge.codec import args as args_codec
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.store.records import Query

WHEN: Final = 1_806_195_599
LONG: Final[list[Any]] = ["é" * 100, {"deep": [1.5, None]}]
"""Stored as an md5."""


def messy_table(both: BothSides) -> None:
    """Hooks, groups, args and statuses in all mixtures, dates all different; then kept."""
    queue = both.queue()
    ids: list[int] = []
    hooks, groups = ("a", "A", "b", "ä"), ("", "g", "G ", "h")
    several: Sequence[Any] = ([], [1], ["1"], ["x"], ["X"], LONG)
    new = [
        Enqueue(hook=hook, args=args, group=group, at=WHEN - 7919 * place % 10_007 * 60)
        for place, (hook, group, args) in enumerate(
            (hook, group, args) for hook in hooks for group in groups for args in several
        )
    ]
    new += [Enqueue(hook="keyed", args={"id": n, "name": "x"}, at=WHEN + n) for n in (5, 55)]
    new += [Enqueue(hook="async", args=args, group="g") for args in several[:2]]
    new += [
        Enqueue(hook="repeats", at=WHEN, interval=60),
        Enqueue(hook="b", at=WHEN, cron="@daily"),
    ]
    ids = [i for i in queue.enqueue_many(new) if i]
    waiting = queue.enqueue_async("b", [1], group="g", after=[ids[0]])
    assert waiting is not None
    states = ("in-progress", "complete", "failed", "canceled")
    for place, i in enumerate(ids):
        if place % 3 == 0:
            both.set(
                i,
                status=states[place // 3 % 4],
                last_attempt_gmt=f"2026-01-01 00:{place % 60:02}:00",
            )
        elif place % 11 == 1:
            both.set(i, claim_id=77)
    # No group, as it was written before 3.6.
    both.change("UPDATE {actions} SET group_id = 0 WHERE action_id = :i", i=ids[1])
    both.keep()


MATCHES: Final[Sequence[tuple[str, Any, str]]] = [
    (hook, args, group)
    for hook in ("a", "A ", "b", "async", "repeats", "none")
    for args in ([], None, [1], ["1"], ["x"], LONG, {"0": 1})
    for group in ("", "g", "h", "nowhere")
]


def test_both_find_the_same_in_any_table(both: BothSides) -> None:
    messy_table(both)
    names = ("as_next_scheduled_action", "as_has_scheduled_action")
    answers = both.php(*((name, *match) for match in MATCHES for name in names))
    queue = both.queue()
    for place, match in enumerate(MATCHES):
        following_, has = answers[2 * place : 2 * place + 2]
        found = queue.next_scheduled(*match)
        told = found if found is True else int(found.timestamp()) if found else False
        assert (told, queue.has_scheduled(*match)) == (following_, has), match


def test_both_cancel_the_same_next_action(both: BothSides) -> None:
    messy_table(both)
    answers = both.php(*(("q_restored", "as_unschedule_action", *match) for match in MATCHES))
    queue = both.queue()
    assert sum(given is not None for given, _ in answers) > len(MATCHES) // 3
    for match, (given, canceled) in zip(MATCHES, answers, strict=True):
        before = both.statuses()
        assert queue.unschedule(*match) == given, match
        assert newly_canceled(both, before) == canceled, match
        undo(both, canceled)


def test_both_cancel_the_same_actions_at_once(both: BothSides) -> None:
    messy_table(both)
    matches = [
        *MATCHES,
        *[("", args, group) for args in ([], None, [1], LONG) for group in ("g", "G", "nowhere")],
    ]
    answers = both.php(*(("q_restored", "as_unschedule_all_actions", *m) for m in matches))
    queue = both.queue()
    sizes = {len(canceled) for _, canceled in answers}
    assert {0, 1} < sizes
    assert max(sizes) > 20
    for match, (_, canceled) in zip(matches, answers, strict=True):
        both.restore()
        before = both.statuses()
        assert queue.unschedule_all(*match) == len(canceled), match
        assert newly_canceled(both, before) == canceled, match


def newly_canceled(both: BothSides, before: dict[int, str]) -> list[int]:
    return [
        i
        for i, status in both.statuses().items()
        if status == "canceled" and before[i] != "canceled"
    ]


def undo(both: BothSides, canceled: Sequence[int]) -> None:
    for i in canceled:
        both.set(i, status="pending", last_attempt_gmt="0000-00-00 00:00:00")


def test_php_cancels_in_all_hooks_at_once_and_wpbridge_does_not(both: BothSides) -> None:
    messy_table(both)
    wild: Sequence[Call] = [("", [], ""), ("", None, ""), ("", ["x"], "")]
    answers = both.php(*(("q_restored", "as_unschedule_all_actions", *m) for m in wild))
    assert [len(canceled) > 0 for _, canceled in answers] == [True, True, True]
    both.restore()
    before, queue = both.statuses(), both.queue()
    for match in wild:
        with pytest.raises(InputError):
            queue.unschedule_all(*match)
    assert both.statuses() == before


def test_each_sees_what_the_other_canceled(both: BothSides) -> None:
    queue = both.queue()
    ours = queue.schedule_recurring("+1h", 60, "ours", [1], group="g")
    theirs, missing = both.php(
        ["as_schedule_recurring_action", WHEN, 60, "theirs", [1], "g"],
        ["as_unschedule_action", "ours"],
    )
    assert (queue.unschedule("theirs"), missing) == (None, None), "by default only empty args match"
    assert queue.unschedule("theirs", [1]) == theirs
    assert queue.has_scheduled("ours")
    answers = both.php(
        ["as_has_scheduled_action", "theirs"],
        ["as_unschedule_action", "ours", [1], "g"],
        ["as_next_scheduled_action", "ours"],
        ["q_action", theirs],
        ["q_action", ours],
    )
    assert answers[:3] == [False, ours, False]
    for told in answers[3:]:
        assert (told["status"], told["finished"]) == ("canceled", True)
        assert told["logs"] == ["action created", "action canceled"]
    assert not queue.has_scheduled("ours")
    assert queue.get(ours or 0).status == "canceled"
    assert [e.message for e in queue.logs(ours or 0)] == ["action created", "action canceled"]


# Queries


QUERIES: Final[Sequence[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"hook": "a"}, {"hooks": ("a",)}),
    ({"hook": "a", "group": "g"}, {"hooks": ("a",), "groups": ("g",)}),
    ({"group": "H"}, {"groups": ("H",)}),
    ({"group": "nowhere"}, {"groups": ("nowhere",)}),
    ({"args": [1]}, {"args": "[1]"}),
    ({"args": LONG}, {"args": args_codec.canonical(LONG)}),
    ({"status": "pending"}, {"statuses": ("pending",)}),
    ({"status": ["failed", "canceled"]}, {"statuses": ("failed", "canceled")}),
    ({"date": WHEN - 200_000, "date_compare": "<="}, {"until": from_timestamp(WHEN - 200_000)}),
    ({"date": WHEN - 200_000, "date_compare": ">="}, {"since": from_timestamp(WHEN - 200_000)}),
    ({"modified": 1_767_225_600 + 1800}, {"modified_until": from_timestamp(1_767_225_600 + 1800)}),
    ({"claimed": True}, {"claimed": True}),
    ({"claimed": False, "hook": "b"}, {"claimed": False, "hooks": ("b",)}),
    ({"claimed": 77}, {"claim": 77}),
    ({"search": "sync"}, {"search": "sync"}),
    ({"search": '"x"'}, {"search": '"x"'}),
    ({"search": "deep"}, {"search": "deep"}),
    ({"search": "a"}, {"search": "a"}),  # no hit in the md5 of long args
    (
        {"args": {"id": 5, "name": "x"}, "partial_args_matching": "like"},
        {"partial_args": ('"id":5', '"name":"x"')},
    ),
    (
        {"args": {"deep": [1.5, None]}, "partial_args_matching": "like"},
        {"partial_args": ('"deep":[1.5,null]',)},
    ),
]
ORDERS: Final[Sequence[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"orderby": "date"}, {"order": "date"}),
    (
        {"orderby": "date", "order": "DESC", "per_page": 7, "offset": 3},
        {"order": "date", "descending": True, "limit": 7, "offset": 3},
    ),
    ({"orderby": "action_id", "order": "DESC"}, {"order": "id", "descending": True}),
    (
        {"orderby": "action_id", "per_page": 10, "offset": 40},
        {"order": "id", "limit": 10, "offset": 40},
    ),
]


def test_both_list_the_same(both: BothSides) -> None:
    messy_table(both)
    dated = {"date": 0, "date_compare": ">"}  # the one without a date has no place in an order
    calls = [("as_get_scheduled_actions", {"per_page": 0, **q}, "ids") for q, _ in QUERIES]
    calls += [
        ("as_get_scheduled_actions", {"per_page": 0, "status": "pending", **dated, **q}, "ids")
        for q, _ in ORDERS
    ]
    answers = [[int(i) for i in found] for found in both.php(*calls)]
    queue = both.queue()
    for (asked, criteria), found in zip(QUERIES, answers, strict=False):
        ids = sorted(record.id for record in queue.find(Query(limit=0), **criteria))
        assert ids == sorted(found), asked
        assert queue.count(**criteria) == len(found)
    since = {"statuses": ("pending",), "since": from_timestamp(1)}
    for (asked, criteria), found in zip(ORDERS, answers[len(QUERIES) :], strict=True):
        ids = [record.id for record in queue.find(**{"limit": 0, **since, **criteria})]
        assert ids == found, asked
        assert found
