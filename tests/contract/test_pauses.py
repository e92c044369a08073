"""Pauses: what no runner claims until they end or are lifted."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import query
from wpbridge.action import ActionId
from wpbridge.errors import InputError
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Pause
from wpbridge.store.running.runner_store import RunnerStore

ANY = ClaimFilter()
HOUR = timedelta(hours=1)


def claimed(store: RunnerStore, only: ClaimFilter = ANY, *, now: datetime = NOW) -> list[int]:
    """What a claim takes; put back again."""
    claim = store.claim_due(now=now, limit=25, only=only)
    if claim is None:
        return []
    store.release(claim.actions, finished=[claim.id])
    return [action.id for action in claim.actions]


def test_a_paused_hook_is_stepped_over(queue: Queue, store: RunnerStore) -> None:
    insert(store, *[make_new("stop", due_in=-1000, priority=1) for _ in range(30)])
    (other,) = insert(store, make_new("go"))
    queue.pause(hooks=["stop"])
    assert claimed(store) == [other]
    assert claimed(store, ClaimFilter(hooks=frozenset({"stop"}))) == []
    assert claimed(store, ClaimFilter(accepts=lambda hook, _group: hook == "stop")) == []
    assert queue.resume(hooks=["stop"]) == [Pause(kind="hook", name="stop", created_at=NOW)]
    assert len(claimed(store, ClaimFilter(hooks=frozenset({"stop"})))) == 25


def test_a_paused_group_is_stepped_over(queue: Queue, store: RunnerStore) -> None:
    stopped = insert(store, *[make_new(due_in=-1000, group="stop") for _ in range(30)])
    free = insert(store, make_new(group="go"), make_new())
    queue.pause(groups=["stop"])
    assert claimed(store) == free
    assert claimed(store, ClaimFilter(groups=frozenset({"stop"}))) == []
    accepts = ClaimFilter(accepts=lambda _hook, group: group != "go")
    assert claimed(store, accepts) == free[1:]
    queue.pause(groups=[""])
    assert claimed(store) == free[:1], "no group can be paused, too"
    queue.resume(groups=["stop", ""])
    assert claimed(store) == stopped[:25]


def test_everything_is_paused(queue: Queue, store: RunnerStore) -> None:
    ids = insert(store, make_new("a"), make_new("b", group="g"))
    queue.pause(everything=True, reason="upgrade")
    assert claimed(store) == []
    assert store.claim_due(now=NOW, limit=5, only=ANY, dry_run=True) is None
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []
    assert queue.pauses() == [Pause(kind="all", name="", reason="upgrade", created_at=NOW)]
    queue.resume(everything=True)
    assert claimed(store) == ids


def test_actions_named_by_somebody_are_claimed_all_the_same(
    queue: Queue, store: RunnerStore
) -> None:
    first, second = insert(store, make_new("stop", group="stop"), make_new("stop", group="stop"))
    queue.pause(hooks=["stop"], groups=["stop"], everything=True)
    assert claimed(store) == []
    assert claimed(store, ClaimFilter(ids=frozenset({ActionId(second)}))) == [second]
    assert claimed(store, ClaimFilter(ids=frozenset({first, second}))) == [first, second]


def test_names_are_exact(queue: Queue, store: RunnerStore, dsn: str) -> None:
    names = ["hook", "HOOK", "hoök", "hook2"]
    ids = insert(store, *[make_new(name) for name in names])
    queue.pause(hooks=["hook"])
    assert claimed(store) == ids[1:]
    queue.pause(hooks=["HOOK", "hook2"])
    assert claimed(store) == ids[2:3]
    assert queue.resume(hooks=["Hook"]) == []
    assert [pause.name for pause in queue.resume(hooks=["HOOK"])] == ["HOOK"]
    assert claimed(store) == [ids[1], ids[2]]
    (grouped,) = insert(store, make_new("g", group="Group"))
    queue.pause(groups=["group", "GROUP"])
    assert grouped in claimed(store)
    queue.pause(groups=["Group"])
    assert grouped not in claimed(store)


def test_a_pause_ends_by_itself(queue: Queue, store: RunnerStore, clock: FakeClock) -> None:
    ids = insert(store, make_new("a"), make_new("b"))
    queue.pause(hooks=["a"], until="+1h")
    queue.pause(hooks=["b"], until=NOW + 2 * HOUR)
    assert claimed(store) == []
    assert claimed(store, now=NOW + HOUR - timedelta(seconds=1)) == []
    assert claimed(store, now=NOW + HOUR) == ids[:1]
    assert claimed(store, now=NOW + 2 * HOUR) == ids
    clock.at = NOW + HOUR
    assert [pause.name for pause in queue.pauses()] == ["b"]
    assert [pause.name for pause in store.parts.pauses.stored()] == ["a", "b"]
    queue.pause(hooks=["c"])
    assert [pause.name for pause in store.parts.pauses.stored()] == ["b", "c"], "ended ones go"


@pytest.mark.parametrize(
    ("scopes", "kind"), [({"hooks": ["x"]}, "hook"), ({"groups": ["x"]}, "group")]
)
def test_a_pause_is_renewed(
    queue: Queue, store: RunnerStore, clock: FakeClock, scopes: dict[str, list[str]], kind: str
) -> None:
    queue.pause(**scopes, until="+1h", reason="first")  # type: ignore[arg-type]
    clock.at += timedelta(minutes=10)
    queue.pause(**scopes, until="+1h", reason="s" * 300)  # type: ignore[arg-type]
    (pause,) = queue.pauses()
    assert (pause.kind, pause.name, pause.until) == (kind, "x", clock.at + HOUR)
    assert (pause.reason, pause.created_at) == ("s" * 255, clock.at)
    queue.pause(**scopes)  # type: ignore[arg-type]
    (pause,) = queue.pauses()
    assert (pause.until, pause.reason) == (None, "")


def test_resume_lifts_what_it_names(queue: Queue, store: RunnerStore) -> None:
    queue.pause(hooks=["a", "b"], groups=["a"], everything=True)
    assert len(queue.pauses()) == 4
    before = queue.pauses()
    assert [p.name for p in queue.resume(hooks=["a", "never"], dry_run=True)] == ["a"]
    assert queue.pauses() == before
    lifted = queue.resume(hooks=["a", "never"])
    assert [(pause.kind, pause.name) for pause in lifted] == [("hook", "a")]
    assert len(queue.resume(everything=True)) == 3
    assert queue.resume(everything=True) == []
    assert queue.pauses() == []


def test_what_is_no_pause_is_refused(queue: Queue) -> None:
    calls: list[Callable[[], object]] = [
        queue.pause,
        lambda: queue.pause(hooks=[]),
        lambda: queue.pause(hooks="send_mail"),
        lambda: queue.pause(groups="mail"),
        lambda: queue.pause(everything=True, until=NOW),
        lambda: queue.pause(everything=True, until="-1h"),
        lambda: queue.pause(everything=True, until="some day"),
        queue.resume,
        lambda: queue.resume(hooks="send_mail"),
    ]
    for wrong in calls:
        with pytest.raises(InputError):
            wrong()
    assert queue.pauses() == []
    planned = queue.pause(hooks=["a"], until="+1h", dry_run=True)
    assert [(pause.kind, pause.name, pause.until) for pause in planned] == [
        ("hook", "a", NOW + HOUR)
    ]
    assert queue.pauses() == []


def test_a_pause_of_another_process_is_seen(
    dsn: str, open_queue: Callable[[str], RunnerStore], clock: FakeClock
) -> None:
    store = open_queue(dsn)
    store.parts.own.drop()
    queue = Queue(store.parts, clock=clock)
    assert queue.pauses() == []
    assert queue.resume(everything=True) == []
    Queue(open_queue(dsn).parts, clock=clock).pause(hooks=["h"])
    assert [pause.name for pause in queue.pauses()] == ["h"]
    assert len(queue.resume(hooks=["h"])) == 1


def test_a_runner_runs_the_rest(
    dsn: str, open_queue: Callable[[str], RunnerStore], clock: FakeClock
) -> None:
    store = open_queue(dsn)
    queue = Queue(store.parts, clock=clock, close_store=False)
    ran: list[str] = []
    handlers = {name: describe(name, lambda name=name: ran.append(name)) for name in "abc"}
    for hook, group in (("a", ""), ("b", ""), ("c", ""), ("c", "slow")):
        queue.enqueue_async(hook, group=group)
    queue.pause(hooks=["a"], groups=["slow"], until="+1h")

    def run() -> None:
        executor = ThreadExecutor(handlers, concurrency=2, clock=clock, site="s")
        only = ClaimFilter(hooks=frozenset(handlers))
        Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()

    run()
    assert sorted(ran) == ["b", "c"]
    assert store.counts() == {"complete": 2, "pending": 2}
    clock.at += HOUR
    run()
    assert sorted(ran) == ["a", "b", "c", "c"]
