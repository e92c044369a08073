"""What people wish of a runner: it is quiet, works again or stops, and no action is lost for it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

import invariants
from clocks import FakeClock
from factories import insert, make_new
from rows import change, column, query
from wpbridge.errors import InputError
from wpbridge.executors.base import Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.jobs import JobQueue
from wpbridge.queue.workers import set_wish
from wpbridge.runner.about import Process
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.presence import WAIT_SECONDS
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.running.seen_runners import About, SeenRunner, seen_runners
from wpbridge.store.running.wishes import Wish
from wpbridge.store.structure.own_steps import VERSION

RUNNERS = "wp_wpbridge_runners"
OpenQueue = Callable[[str], RunnerStore]


class Executor(ThreadExecutor):
    """Runs one call at a time; what a test does while the runner waits quietly comes from it."""

    def __init__(self, handler: Callable[[int], None], clock: FakeClock) -> None:
        super().__init__({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
        self.while_quiet: Callable[[], None] = lambda: None

    def reports(self, timeout_seconds: float) -> list[Report]:
        if timeout_seconds == WAIT_SECONDS:
            self.while_quiet()
            timeout_seconds = 0.0
        return super().reports(timeout_seconds)


class Stage:
    """A runner that claims one action at a time, and a person at another connection."""

    def __init__(
        self, store: RunnerStore, person: RunnerStore, handler: Callable[[int], None]
    ) -> None:
        store.unregister()
        self.clock = FakeClock()
        self.store, self.person = store, person
        self.queue = JobQueue(person.parts, close_store=False)
        self.executor = Executor(handler, self.clock)
        self.runner = Runner(
            store,
            self.executor,
            self.clock,
            identity(),
            only=ClaimFilter(hooks=frozenset({"h"})),
            limits=Limits(batch_size=1, concurrency=1),
            process=Process(kind="work", supervisor=4711),
        )

    def wish(self, wish: Wish) -> bool:
        """As a person does, with the next beat due."""
        is_new = set_wish(self.queue, self.seen().runner.id, wish)
        self.clock.at += timedelta(seconds=16)
        return is_new

    def seen(self) -> SeenRunner:
        [one] = seen_runners(self.person.parts.tables)
        return one


def test_a_quiet_runner_claims_nothing_until_it_is_woken(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    ran: list[int] = []
    looks: list[list[int]] = []

    def handler(number: int) -> None:
        ran.append(number)
        if number == 1:
            # The runner hears it with its next beat, which is due when the clock has moved.
            assert set_wish(stage.queue, stage.seen().runner.id, "quiet")
            assert not stage.seen().has_obeyed
            stage.clock.at += timedelta(seconds=16)

    def look() -> None:
        looks.append(list(ran))
        assert stage.seen().has_obeyed
        assert stage.seen().about.state == "quiet"
        assert stage.person.counts() == {"complete": 1, "pending": 2}
        stage.clock.at += timedelta(seconds=16)
        if len(looks) == 3:
            assert stage.wish("")

    stage = Stage(store, open_queue(dsn), handler)
    stage.executor.while_quiet = look
    insert(store, *[make_new(args=(n,)) for n in (1, 2, 3)])
    stage.runner.run()
    assert looks == [[1]] * 3
    assert ran == [1, 2, 3]
    assert store.counts() == {"complete": 3}
    invariants.check(store)


def test_a_runner_that_is_to_stop_ends_after_what_runs(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    ran: list[int] = []

    def handler(number: int) -> None:
        ran.append(number)
        stage.wish("stop")

    stage = Stage(store, open_queue(dsn), handler)
    insert(store, *[make_new(args=(n,)) for n in (1, 2, 3)])
    totals = stage.runner.run()
    assert (ran, totals.complete) == ([1], 1)
    assert store.counts() == {"complete": 1, "pending": 2}
    assert seen_runners(store.parts.tables) == []
    invariants.check(store)


def test_a_wish_of_who_obeys_is_told_to_who_asked(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    told: list[str] = []

    def obey(wish: str) -> None:
        told.append(wish)
        if wish == "stop":
            stage.runner.stop()

    def handler(number: int) -> None:
        stage.wish("quiet" if number == 1 else "stop")

    stage = Stage(store, open_queue(dsn), handler)
    stage.executor.while_quiet = lambda: None if told == ["quiet", ""] else done_waiting()

    def done_waiting() -> None:
        stage.wish("")

    stage.runner.when_wished(obey)
    insert(store, *[make_new(args=(n,)) for n in (1, 2)])
    stage.runner.run()
    assert told == ["quiet", "", "stop"]


def test_a_quiet_runner_whose_row_is_gone_stays_quiet(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    rows: list[int] = []

    def handler(number: int) -> None:
        if number == 1:
            stage.wish("quiet")

    def look() -> None:
        rows.append(stage.seen().runner.id)
        assert stage.seen().wish == "quiet"
        assert stage.person.counts()["pending"] == 1
        stage.clock.at += timedelta(seconds=16)
        if len(rows) == 1:
            change(stage.person, f"DELETE FROM {RUNNERS}")
        else:
            stage.wish("")

    stage = Stage(store, open_queue(dsn), handler)
    stage.executor.while_quiet = look
    insert(store, *[make_new(args=(n,)) for n in (1, 2)])
    stage.runner.run()
    assert rows[1] > rows[0]
    assert store.counts() == {"complete": 2}
    invariants.check(store)


def test_a_wish_of_the_runner_before_is_carried_before_the_first_claim(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    ran: list[int] = []

    def look() -> None:
        assert (ran, stage.seen().wish) == ([], "quiet")
        stage.wish("")

    stage = Stage(store, open_queue(dsn), ran.append)
    stage.executor.while_quiet = look
    stage.runner.carry("quiet")
    insert(store, make_new(args=(1,)))
    stage.runner.run()
    assert ran == [1]


def test_what_a_runner_is_stands_in_its_row(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    seen: list[SeenRunner] = []

    def handler(number: int) -> None:
        seen.append(stage.seen())
        stage.clock.at += timedelta(seconds=16)

    stage = Stage(store, open_queue(dsn), handler)
    insert(store, *[make_new(args=(n,)) for n in (1, 2)])
    stage.runner.run()
    first, second = seen
    assert (first.about.kind, first.about.supervisor, first.about.state) == (
        "work",
        4711,
        "working",
    )
    assert first.about.executors == {"python": 1}
    assert (first.about.memory_bytes or 0) > 1 << 20
    assert (first.wish, first.has_obeyed, first.places) == ("", True, 1)
    assert (first.about.done, second.about.done) == ({}, {"complete": 1})


def test_wishes_that_cannot_be_are_refused(queue: object, store: RunnerStore) -> None:
    del queue
    jobs = JobQueue(store.parts, close_store=False)
    [[mine]] = query(store, f"SELECT runner_id FROM {RUNNERS}")
    number = int(str(mine))
    with pytest.raises(InputError, match="there is no runner 999"):
        set_wish(jobs, 999, "quiet")
    store.tell_about(json.dumps({"kind": "serve"}))
    with pytest.raises(InputError, match="belongs to the gateway"):
        set_wish(jobs, number, "stop")
    assert set_wish(jobs, number, "quiet")
    assert not set_wish(jobs, number, "quiet")
    store.tell_about(json.dumps({"kind": "work"}))
    assert set_wish(jobs, number, "stop")
    with pytest.raises(InputError, match="cannot be taken back"):
        set_wish(jobs, number, "")
    assert store.wish() == "stop"


def test_only_a_wish_that_is_new_is_noted(store: RunnerStore) -> None:
    jobs = JobQueue(store.parts, close_store=False)
    [[mine]] = query(store, f"SELECT runner_id FROM {RUNNERS}")
    for _ in range(2):
        with jobs.noted(who="user:anna", verb="quiet-worker", thing=f"runner {mine}"):
            set_wish(jobs, int(str(mine)), "quiet")
    [noted] = store.parts.audit.latest(10)
    assert (noted.who, noted.verb, noted.thing) == ("user:anna", "quiet-worker", f"runner {mine}")


@pytest.mark.parametrize(
    "about",
    ["", "[", "[1]", '{"kind": 5, "memory": "x", "executors": [1], "done": {"complete": "many"}}'],
)
def test_what_is_no_description_of_a_runner_is_left_out(store: RunnerStore, about: str) -> None:
    change(store, f"UPDATE {RUNNERS} SET about = :about, wish = 'quiet'", about=about)
    [seen] = seen_runners(store.parts.tables)
    assert seen.about == About()
    assert not seen.has_obeyed


def test_tables_of_an_earlier_release_get_the_columns(
    store: RunnerStore, dsn: str, open_queue: OpenQueue
) -> None:
    for name in ("wish", "about"):
        change(store, f"ALTER TABLE {RUNNERS} DROP COLUMN {name}")
    change(store, "UPDATE wp_wpbridge_site SET value = '5' WHERE name = 'version'")
    # Looking changes nothing.
    [seen] = seen_runners(store.parts.tables)
    assert (seen.wish, seen.about) == ("", About())
    # Who registered before is read as one that does not hear.
    person = open_queue(dsn)
    assert set_wish(JobQueue(person.parts, close_store=False), seen.runner.id, "quiet")
    [seen] = seen_runners(store.parts.tables)
    assert (seen.wish, seen.has_obeyed) == ("quiet", False)
    person.parts.own.look()
    assert person.parts.own.version == VERSION


def test_a_runner_whose_table_lacks_the_columns_works_without(store: RunnerStore) -> None:
    store.unregister()
    for name in ("wish", "about"):
        change(store, f"ALTER TABLE {RUNNERS} DROP COLUMN {name}")
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    store.tell_about("{}")
    store.carry_wish("quiet")
    assert store.wish() == ""
    [action] = insert(store, make_new())
    assert column(store, "status", action) == "pending"
