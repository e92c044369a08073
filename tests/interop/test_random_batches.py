"""Random queues run by the plugin's own runner and by wpbridge: the same four tables.

Several rows of one hook, one-off and recurring, that fail and succeed in one batch, beside rows
that ended earlier. ``WPBRIDGE_TEST_SEEDS`` is how many queues are tried (4), from the seed in
``WPBRIDGE_TEST_FIRST_SEED`` (1) on.
"""

import os
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from conftest import wordpress_site
from factories import make_new
from php_site import PhpSite
from rows import change, query
from servers import MariaDB
from wordpress import in_wordpress
from wpbridge.action import UPKEEP_HOOKS, NewAction
from wpbridge.clock import SystemClock, to_text
from wpbridge.codec import schedule
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

SEEDS = range(
    int(os.environ.get("WPBRIDGE_TEST_FIRST_SEED", "1")),
    int(os.environ.get("WPBRIDGE_TEST_FIRST_SEED", "1"))
    + int(os.environ.get("WPBRIDGE_TEST_SEEDS", "4")),
)
TABLES = ("actions", "claims", "groups", "logs")
HOOKS = ("q_one", "q_two", "q_three", "q_nobody")
CALLBACKS = """<?php
foreach ( array( 'q_one', 'q_two', 'q_three' ) as $hook ) {
    add_action( $hook, function ( $what ) {
        if ( 'fail' === $what ) {
            throw new RuntimeException( 'boom: détail' );
        }
    } );
}
"""
SLACK = timedelta(seconds=60)
"""Between the runs, and how long one of them may take."""


def handle(what: str) -> None:
    if what == "fail":
        raise RuntimeError("boom: détail")


def nobody(_what: str) -> None:
    raise RuntimeError(
        "Scheduled action for q_nobody will not be executed as no callbacks are registered."
    )


@dataclass(frozen=True)
class Queue:
    """What one seed gives, to be filled in twice."""

    new: tuple[NewAction, ...]
    old: tuple[tuple[str, str, str], ...]
    """Hook, status and date of rows that ended, or run elsewhere."""
    batch_size: int


def random_queue(seed: int, now: datetime, *, has_index: bool) -> Queue:
    chance = random.Random(seed)  # noqa: S311 - test data
    hooks = HOOKS[: chance.randint(1, len(HOOKS))]
    failing = chance.choice([0.5, 0.9, 1.0])
    # In every third queue many rows share a date, so that the database decides among them.
    few = [chance.randrange(60, 80_000) for _ in range(4)]
    share = has_index and seed % 3 == 0
    moments = chance.choices(few, k=90) if share else chance.sample(range(60, 80_000), 90)
    new = tuple(_random_action(chance, hooks, failing, now, -moments.pop()) for _ in range(60))
    if not has_index:
        new = tuple(replace(one, priority=10) for one in new)
    old = tuple(
        (
            chance.choice(hooks),
            chance.choice(["failed", "failed", "failed", "complete", "canceled", "in-progress"]),
            to_text(
                now - timedelta(seconds=moments.pop() + chance.choice([0, 0, 80_000, -160_000]))
            ),
        )
        for _ in range(chance.choice([0, 4, 12]))
    )
    return Queue(new, old, chance.choice([3, 25, 100]))


def _random_action(
    chance: random.Random, hooks: tuple[str, ...], failing: float, now: datetime, due_in: int
) -> NewAction:
    made = make_new(
        chance.choice(hooks),
        args=("fail" if chance.random() < failing else "go", chance.randrange(3)),
        due_in=due_in,
        interval=chance.choice([None, 300, 86_400]),
        group=chance.choice(["", "g", "Ünïcode group"]),
        priority=chance.choice([10, 10, 0, 255, chance.randrange(256)]),
        now=now,
    )
    if chance.random() > 0.2:
        return made
    cron = schedule.cron_schedule(made.scheduled_at, "30 4 1 * *")
    return NewAction(
        hook=made.hook,
        args=made.args,
        schedule=schedule.encode(cron),
        scheduled_at=made.scheduled_at,
        group=made.group,
        priority=made.priority,
    )


@pytest.fixture(scope="module")
def site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpSite]:
    folder = tmp_path_factory.mktemp("random")
    callbacks = folder / "callbacks.php"
    callbacks.write_text(CALLBACKS, "utf-8")
    for site in wordpress_site(mariadb, folder / "site", callbacks):
        if not site.has_plugin:
            pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
        in_wordpress(site.folder, "echo 1;")
        store = site.open()
        # Rows that share a date come in the order of the index that the database chooses; new
        # statistics in the middle of a test would have it choose another one.
        change(store, "ALTER TABLE wp_actionscheduler_actions STATS_AUTO_RECALC = 0")
        store.close()
        yield site


def fill(store: RunnerStore, queue: Queue) -> None:
    for table in TABLES:
        change(store, f"TRUNCATE wp_actionscheduler_{table}")
    now = SystemClock().now()
    for hook, status, date in queue.old:
        (one,) = store.insert([make_new(hook, args=("old",))], now=now)
        change(
            store,
            "UPDATE wp_actionscheduler_actions SET status = :s, scheduled_date_gmt = :d,"
            " last_attempt_gmt = :n, attempts = 1 WHERE action_id = :i",
            s=status,
            d=date,
            n=to_text(now),
            i=one,
        )
    store.insert(queue.new, now=now)


def run_python(store: RunnerStore, queue: Queue) -> None:
    functions = dict.fromkeys(HOOKS, handle) | {"q_nobody": nobody}
    handlers = {hook: describe(hook, function) for hook, function in functions.items()}
    clock = SystemClock()
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="random")
    limits = Limits(batch_size=queue.batch_size, concurrency=1)
    only = ClaimFilter(hooks=frozenset(handlers))
    Runner(store, executor, clock, identity(), only=only, limits=limits).run()


@pytest.mark.parametrize("way", ["python", "bridge"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_tables_are_those_of_the_plugins_runner(site: PhpSite, seed: int, way: str) -> None:
    # Without the index of 3.9.3 wpbridge walks the queue by date (docs/explain/claims.md), and the
    # database decides otherwise among rows that share one.
    has_index = site.release >= (3, 9, 3)
    now = SystemClock().now().replace(microsecond=0)
    queue = random_queue(seed, now, has_index=has_index)
    store = site.open()
    try:
        fill(store, queue)
        began = SystemClock().now()
        in_wordpress(site.folder, "ActionScheduler_QueueRunner::instance()->run( 'WP CLI' );")
        expected = Picture(store, began)
        fill(store, queue)
        began = SystemClock().now()
        if way == "python":
            run_python(store, queue)
        else:
            site.run(php_books=way, batch_size=queue.batch_size, missing_callback="fail")
        problems = expected.differences(Picture(store, began))
        assert not problems, "\n".join(problems)
    finally:
        store.close()


class Picture:
    """All rows but the plugin's upkeep."""

    def __init__(self, store: RunnerStore, began: datetime) -> None:
        self._began = began.replace(tzinfo=None)
        columns = [str(r[0]) for r in query(store, "SHOW COLUMNS FROM wp_actionscheduler_actions")]
        named = f"SELECT {', '.join(columns)} FROM wp_actionscheduler_actions ORDER BY action_id"
        groups = query(store, "SELECT group_id, slug FROM wp_actionscheduler_groups")
        slugs = {row[0]: row[1] for row in groups}
        logs: defaultdict[object, list[tuple[str, object, object]]] = defaultdict(list)
        for action_id, message, gmt, local in query(
            store,
            "SELECT action_id, message, log_date_gmt, log_date_local"
            " FROM wp_actionscheduler_logs ORDER BY log_id",
        ):
            told = re.sub(r"via (WP CLI|wpbridge)", "via X", str(message))
            if not told.startswith("wpbridge: "):
                logs[action_id].append((told, gmt, local))
        self.rows: list[dict[str, Any]] = []
        for values in query(store, named):
            row = dict(zip(columns, values, strict=True))
            if row["hook"] not in UPKEEP_HOOKS:
                row["logs"] = logs[row.pop("action_id")]
                row["group"] = slugs.get(row.pop("group_id"))
                row["schedule"] = re.sub(r"(?<=timestamp\";i:)\d+", "T", str(row["schedule"]))
                # Of an ended row it is the claim's that ended it.
                row["claim_id"] = bool(row["claim_id"]) and row["status"] == "pending"
                self.rows.append(row)
        self.claims = len(query(store, "SELECT 1 FROM wp_actionscheduler_claims"))

    def differences(self, other: "Picture") -> list[str]:
        """In what another one differs, whose rows were added in the same order."""
        found = [] if self.claims == other.claims == 0 else [f"{self.claims=} {other.claims=}"]
        if len(self.rows) != len(other.rows):
            found.append(f"{len(self.rows)} rows of the plugin's, {len(other.rows)} of ours")
        for number, (theirs, ours) in enumerate(zip(self.rows, other.rows, strict=False), 1):
            found += [
                f"{number} {theirs['hook']} {key}: plugin {want!r}, wpbridge {ours[key]!r}"
                for key, want in theirs.items()
                if not self._is_same(want, ours[key], other)
            ]
        return found

    def _is_same(self, want: object, got: object, other: "Picture") -> bool:
        if isinstance(want, list | tuple) and isinstance(got, list | tuple):
            pairs = zip(want, got, strict=False)
            return len(want) == len(got) and all(self._is_same(a, b, other) for a, b in pairs)
        if want == got:
            return True
        distances = (self._distance(want), other._distance(got))
        return None not in distances and abs(distances[0] - distances[1]) < SLACK  # type: ignore[operator]  # not None

    def _distance(self, text: object) -> timedelta | None:
        try:
            return datetime.fromisoformat(str(text)) - self._began
        except ValueError:
            return None
