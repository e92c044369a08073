"""A server that forgets what it has committed, and a runner that goes on.

Runs are repeated then, which nobody can avoid. But nothing is lost, and nothing is left under a
claim that nobody has.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable

import pytest

import invariants
from clocks import FakeClock
from factories import insert, make_new
from past import Past
from ticking import TickingExecutor
from wpbridge import Context
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.sqlstore import SqlStore

COUNT = 40


def run(store: SqlStore, handler: Callable[..., None], *, batch_size: int = 8) -> Runner:
    clock = FakeClock()
    executor = TickingExecutor(handler, clock, concurrency=3)
    runner = Runner(
        store, executor, clock, identity(),
        only=ClaimFilter(), limits=Limits(concurrency=3, batch_size=batch_size),
    )  # fmt: skip
    runner.run()
    return runner


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_and_nothing_is_left_in_a_claim_of_nobody(
    store: SqlStore, dsn: str, open_queue: Callable[[str], SqlStore], seed: int
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
    # Forgotten are at most the runs in between, and what was in hand when it was noticed.
    assert runs.total() <= COUNT + (forgets - remembers) + 2 * 8 + 2 * 3
    invariants.check(store)
