"""A server that forgets what it has committed, and a runner that goes on.

Runs are repeated then, which nobody can avoid. But nothing is lost, and nothing is left under a
claim that nobody has.
"""

import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import invariants
from clocks import FakeClock
from factories import NOW, insert, make_new
from heard import heard
from past import Past
from rows import change, column, log_of, query
from ticking import TickingExecutor
from wpbridge import Context
from wpbridge.action import Status
from wpbridge.errors import RunnerGone, StoreMissing
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter, Ending
from wpbridge.store.running.runner_store import RunnerStore

COUNT = 40


def run(store: RunnerStore, handler: Callable[..., None], *, batch_size: int = 8) -> Runner:
    clock = FakeClock()
    executor = TickingExecutor(handler, clock, concurrency=3)
    runner = Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(),
        limits=Limits(concurrency=3, batch_size=batch_size),
    )
    runner.run()
    return runner


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_and_nothing_is_left_in_a_claim_of_nobody(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], seed: int
) -> None:
    store.unregister()
    ids = insert(store, *[make_new(args=(n,)) for n in range(COUNT)])
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    remembers = chance.randint(1, COUNT - 10)
    forgets = remembers + chance.randint(1, 9)
    others, runs, past = open_queue(dsn), Counter[int](), list[Past]()
    lock = threading.Lock()

    def handler(_number: int, *, context: Context) -> None:
        with lock:
            runs[context.id] += 1
            if runs.total() == remembers:
                past.append(Past(others))
            elif runs.total() == forgets:
                past.pop().come_back()

    run(store, handler)
    assert store.counts() == {"complete": COUNT}
    assert set(runs) == set(ids)
    # The server forgot once, so nothing is repeated more than once.
    assert max(runs.values()) <= 2
    invariants.check(store)


@pytest.mark.parametrize("dsn", ["mariadb"], indirect=True)
@pytest.mark.parametrize(("flush", "lines"), [(0, 1), (1, 0), (2, 1)])
def test_a_runner_says_once_that_at_most_once_cannot_be_kept(
    store: RunnerStore, caplog: pytest.LogCaptureFixture, flush: int, lines: int
) -> None:
    insert(store, make_new(), make_new())
    claim = store.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert claim is not None
    change(store, f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}")
    try:
        for action in claim.actions:
            store.start([(action, [])], now=NOW, once=True)
    finally:
        change(store, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    told = [line for line in heard(caplog) if line.startswith("store.forgetful ")]
    assert len(told) == lines


def test_a_row_of_ours_that_is_another_one_ends_what_is_in_hand(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Ids are given out anew by a server that forgot them: the same claim may be another's."""
    insert(store, make_new(), make_new())
    claim = store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    change(store, "UPDATE wp_wpbridge_runners SET writes = writes - 1")
    with pytest.raises(RunnerGone):
        store.start([(claim.actions[0], [])], now=NOW, once=False)
    assert not store.heartbeat([claim.actions[0].id], now=NOW)
    assert store.counts() == {"pending": 2}
    # Nothing of what was refused is there.
    assert log_of(store, claim.actions[0].id) == ["action created"]


def test_tables_without_the_counter_are_compared_by_what_they_say(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Of an account that may not change the tables of 0.1."""
    change(store, "ALTER TABLE wp_wpbridge_runners DROP COLUMN writes")
    other = open_queue(dsn)
    other.register(host="there", boot="boot", pid=2, pid_started="1")
    insert(store, make_new(), make_new())
    claim = other.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert claim is not None
    assert other.start([(claim.actions[0], [])], now=NOW, once=False)
    assert other.heartbeat([claim.actions[0].id], now=NOW)
    change(store, "UPDATE wp_wpbridge_runners SET claims = '' WHERE pid = 2")
    with pytest.raises(RunnerGone):
        other.start([(claim.actions[1], [])], now=NOW, once=False)


def test_an_ending_that_was_forgotten_does_not_stay_in_a_finished_claim(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Without the counter nothing tells: the runner's row is the same before and after it."""
    change(store, "ALTER TABLE wp_wpbridge_runners DROP COLUMN writes")
    other = open_queue(dsn)
    other.register(host="there", boot="boot", pid=2, pid_started="1")
    insert(store, make_new(), make_new())
    claim = other.claim_due(now=NOW, limit=2, only=ClaimFilter())
    assert claim is not None
    first, second = (
        Ending(action=one, status=Status.COMPLETE, at=NOW, marked=False, logs=())
        for one in claim.actions
    )
    past = Past(store)
    assert other.settle([first], now=NOW)
    past.come_back()
    assert other.settle([second], now=NOW, finished=[claim.id])
    assert store.counts() == {"pending": 1, "complete": 1}
    assert column(store, "claim_id", first.action.id) == 0
    assert not query(store, "SELECT * FROM wp_actionscheduler_claims")


@pytest.mark.parametrize("dsn", ["sqlite"], indirect=True)
def test_a_file_that_is_put_back_from_a_copy_is_used_from_then_on(
    store: RunnerStore, dsn: str, tmp_path: Path
) -> None:
    """The one that was opened first goes on to take all that is written, and nobody sees it."""
    file = Path(dsn.removeprefix("sqlite:///"))
    insert(store, make_new())
    shutil.copy(file, tmp_path / "copy")
    insert(store, make_new())
    assert store.counts() == {"pending": 2}
    (tmp_path / "copy").replace(file)
    assert store.counts() == {"pending": 1}
    file.unlink()
    with pytest.raises(StoreMissing, match="there is no database file"):
        store.counts()
