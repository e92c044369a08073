"""Unique actions: rows of either side refuse new ones of the other, by the release's own rule.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN): up to 3.9 hook and group count, from 4.0 on args too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from both_sides import BothSides, Call
from wpbridge.action import Status
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.queueing.adding import SINCE_4_HOOK, UniqueBy

WHEN: Final = 1_806_195_599
LONG: Final = ["x" * 300]
DAILY: Final = "action_scheduler_run_recurring_actions_schedule_hook"
"""The plugin's daily action, which makes sure of the others."""
KINDS: Final = ("async", "single", "interval", "cron")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request for a unique action."""

    hook: str = ""
    args: Any = ()
    group: str = "g"
    kind: str = "single"

    @property
    def call(self) -> Call:
        """Of the plugin's function."""
        tail = (self.hook, list(self.args), self.group, True)
        match self.kind:
            case "async":
                return ("as_enqueue_async_action", *tail)
            case "interval":
                return ("as_schedule_recurring_action", WHEN, 60, *tail)
            case "cron":
                return ("as_schedule_cron_action", WHEN, "0 3 * * *", *tail)
        return ("as_schedule_single_action", WHEN, *tail)

    @property
    def enqueue(self) -> Enqueue:
        """The queue's."""
        return Enqueue(
            hook=self.hook,
            args=list(self.args),
            at=None if self.kind == "async" else WHEN,
            interval=60 if self.kind == "interval" else None,
            cron="0 3 * * *" if self.kind == "cron" else None,
            group=self.group,
            unique=True,
        )


FIRST: Final = Request(args=["a", 1])
# What differs in the second one, and whether it is refused: up to 3.9, and from 4.0 on.
SECONDS: Final[Sequence[tuple[Request, Request, bool, bool]]] = [
    (FIRST, FIRST, True, True),
    (FIRST, replace(FIRST, kind="async"), True, True),
    (FIRST, replace(FIRST, args=["a", "1"]), True, False),
    (FIRST, replace(FIRST, args=()), True, False),
    (replace(FIRST, args=()), FIRST, True, False),
    (FIRST, replace(FIRST, args=["A", 1]), True, True),
    (FIRST, replace(FIRST, args=LONG), True, False),
    (replace(FIRST, args=LONG), replace(FIRST, args=LONG), True, True),
    (replace(FIRST, args=LONG), replace(FIRST, args=["y" * 300]), True, False),
    (FIRST, replace(FIRST, group="G "), True, True),
    (FIRST, replace(FIRST, group="other"), False, False),
    (FIRST, replace(FIRST, group=""), False, False),
    (replace(FIRST, group=""), replace(FIRST, group=""), True, True),
    (replace(FIRST, group=""), FIRST, False, False),
    (FIRST, replace(FIRST, hook="another"), False, False),
    (FIRST, replace(FIRST, hook="UPPER"), True, True),
]
LIVE: Final = ("pending", "in-progress")
WRITERS: Final = ("php", "python")


@dataclass(frozen=True, kw_only=True)
class Case:
    """An action that is there, and a second one."""

    first: Request
    writer: str
    status: str
    second: Request
    by_group: bool
    by_args: bool

    def refuses(self, by: UniqueBy) -> bool:
        return self.by_args if by == "args" else self.by_group


def cases(name: str) -> list[Case]:
    """All of them, each under a hook of its own that begins with a name."""
    found: list[Case] = []
    for first, second, by_group, by_args in SECONDS:
        for kind in KINDS:
            for writer in WRITERS:
                for status in Status if second == first == FIRST else LIVE:
                    hook = f"{name}_é%s_{len(found)}"
                    names = {"": hook, "UPPER": hook.upper(), "another": f"{hook}x"}
                    is_live = status in LIVE
                    found.append(
                        Case(
                            first=replace(first, hook=hook, kind=kind),
                            writer=writer,
                            status=str(status),
                            second=replace(second, hook=names[second.hook]),
                            by_group=by_group and is_live,
                            by_args=by_args and is_live,
                        )
                    )
    return found


def rule_of(both: BothSides) -> UniqueBy:
    return "args" if both.release >= (4,) else "group"


def lay_down(both: BothSides, queue: Queue, asked: Sequence[Case]) -> list[int]:
    """The first action of each case, by its writer."""
    calls = [case.first.call for case in asked if case.writer == "php"]
    by_php = iter(both.php(*calls))
    ids: list[int] = [
        next(by_php) if case.writer == "php" else queue.enqueue(case.first.enqueue) or 0
        for case in asked
    ]
    assert all(ids)
    for status in Status:
        chosen = [i for i, case in zip(ids, asked, strict=True) if case.status == status]
        listed = ", ".join(map(str, chosen))
        both.change(f"UPDATE {{actions}} SET status = '{status}' WHERE action_id IN ({listed})")
    return ids


def test_php_refuses_by_its_rule_whoever_wrote_the_first(both: BothSides) -> None:
    queue, asked = both.queue(), cases("php")
    lay_down(both, queue, asked)
    before = len(both.statuses()), both.rows("SELECT COUNT(*) FROM {logs}")[0][0]
    answers = both.php(*(case.second.call for case in asked))
    refused = [not given for given in answers]
    assert refused == [case.refuses(rule_of(both)) for case in asked]
    added = refused.count(False)
    assert (before[0] + added, before[1] + added) == (
        len(both.statuses()),
        both.rows("SELECT COUNT(*) FROM {logs}")[0][0],
    )


def test_python_refuses_by_each_rule_whoever_wrote_the_first(both: BothSides) -> None:
    for by in ("group", "args"):
        queue, asked = both.queue(by), cases(by)
        ids = lay_down(both, queue, asked)
        before = len(both.statuses())
        told = [queue.refusal(case.second.enqueue) for case in asked]
        given = [queue.enqueue(case.second.enqueue) for case in asked]
        expected = [case.refuses(by) for case in asked]
        assert [one is None for one in given] == expected
        assert told == [i if no else None for i, no in zip(ids, expected, strict=True)]
        assert len(both.statuses()) == before + expected.count(False)
        again = queue.enqueue_many(case.second.enqueue for case in asked)
        assert again == [None] * len(asked), "what was added refuses the next one"


def test_auto_does_what_this_plugin_does(both: BothSides) -> None:
    ensure_upkeep(both)
    assert both.queue().store.adding.unique_by("auto") == rule_of(both)
    queue, by_php, by_python = both.queue("auto"), cases("php"), cases("auto")
    lay_down(both, queue, [*by_php, *by_python])
    answers = both.php(*(case.second.call for case in by_php))
    given = [queue.enqueue(case.second.enqueue) for case in by_python]
    assert [one is None for one in given] == [not answer for answer in answers]


def ensure_upkeep(both: BothSides) -> None:
    """The plugin's daily action has run once."""
    both.ask("do_action", DAILY)
    assert bool(both.rows(f"SELECT 1 FROM {{actions}} WHERE hook = '{SINCE_4_HOOK}'")) == (
        both.release >= (4,)
    )


def test_auto_knows_4_0_by_the_date_of_its_daily_action(both: BothSides) -> None:
    """Before an administrator's first visit nothing tells the releases apart."""
    both.site.needs_release((3, 9, 3), "the daily action")
    args_from_4 = "args" if both.release >= (4,) else "group"

    def hooks() -> set[str]:
        return {str(hook) for (hook,) in both.rows("SELECT hook FROM {actions}")}

    def rule() -> UniqueBy:
        return both.queue().store.adding.unique_by("auto")

    both.ask("q_release")
    assert (hooks(), rule()) == (set(), "group"), "a visit leaves no sign"
    both.ask("q_release", admin=True)
    assert (hooks(), rule()) == ({DAILY}, args_from_4), "an administrator's visit schedules it"
    both.ask("q_run")
    assert (hooks(), rule()) == ({DAILY}, args_from_4), "4.0 dates it to 3 at night"
    first, second = Request(hook="u", args=[1]), Request(hook="u", args=[2])
    taken = both.php(first.call, second.call)
    ours = [both.queue().enqueue(replace(one, hook="v").enqueue) for one in (first, second)]
    assert [bool(i) for i in taken] == [bool(i) for i in ours] == [True, both.release >= (4,)]
    both.change(
        "UPDATE {actions} SET scheduled_date_gmt = '2026-01-01 00:00:00'"
        f" WHERE hook = '{DAILY}' AND status = 'pending'"
    )
    both.ask("q_run")
    assert (SINCE_4_HOOK in hooks()) == (both.release >= (4,))
    assert rule() == rule_of(both)
