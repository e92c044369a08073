"""A commit is sent and its answer never comes: nobody knows whether it was made, until one looks.

The connection runs through a proxy that is cut at that very moment: what the server was asked last
is done (``answer``), or never arrives (``question``).
"""

import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import pytest

import invariants
from factories import NOW, make_new
from legacy_store import LegacyStore, make_tables, snapshot
from proxy import Proxy
from rows import change, column, log_of, query
from sent import listen
from servers import MariaDB
from stores import open_store
from wpbridge.action import Claim
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore
from wpbridge.migrate.post_store.undo import Undo
from wpbridge.migrate.transfer import files, taking_back
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.lines import dumped
from wpbridge.migrate.transfer.wishes import Wishes
from wpbridge.migrate.wp_cron import undo as wp_cron_undo
from wpbridge.migrate.wp_cron.moving import Mover, read
from wpbridge.migrate.wp_cron.plan import GROUP, Choice
from wpbridge.outcome import Completed, LogLine
from wpbridge.queue.commands import carry_out
from wpbridge.queue.facade import Queue
from wpbridge.queue.jobs import JobQueue
from wpbridge.runner import concluding, log_texts
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database import mysql_engine
from wpbridge.store.running.runner_store import RunnerStore

Lost = Literal["answer", "question"]
both = pytest.mark.parametrize("lost", ["answer", "question"])


@pytest.fixture
def proxy(mariadb: MariaDB) -> Iterator[Proxy]:
    with Proxy(mariadb.socket) as it:
        yield it


@pytest.fixture
def far(proxy: Proxy, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    """A store behind the proxy, registered as a runner, that waits for a lost server."""
    open_queue(mysql_dsn)
    it = open_queue(proxy.url(str(DatabaseAddress.from_dsn(mysql_dsn).name)))
    it.register(host="here", boot="boot", pid=1, pid_started="1")
    it.session.patience_seconds = 20.0
    return it


@contextmanager
def cut_at_commit(store: RunnerStore, proxy: Proxy, lost: Lost) -> Iterator[None]:
    """The next COMMIT is the last thing that goes over this connection."""
    left = ["the next one"]

    def before(*told: object) -> None:
        if told[0] == "COMMIT" and left:
            left.clear()
            proxy.cut_after(0, toward="client" if lost == "answer" else "server")

    stop = listen(store.session, "before", before)
    yield
    stop()
    assert proxy.cuts == 1


def hold(store: RunnerStore, count: int = 3) -> Claim:
    store.insert([make_new("h", args=(n,)) for n in range(count)], now=NOW)
    claim = store.claim_due(now=NOW, limit=count, only=ClaimFilter())
    assert claim is not None
    return claim


def end(store: RunnerStore, claim: Claim, *, marked: bool) -> frozenset[int]:
    endings = [
        concluding.ending_of(a, Completed(), started_at=NOW, ended_at=NOW, marked=marked)
        for a in claim.actions
    ]
    return frozenset(store.settle(endings, now=NOW, finished=[claim.id]))


@both
def test_a_claim(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    far.insert([make_new("h")], now=NOW)
    with cut_at_commit(far, proxy, lost):
        claim = far.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert claim is not None
    assert len(claim.actions) == 1
    assert len(query(far, "SELECT 1 FROM wp_actionscheduler_claims")) == 1
    assert len(end(far, claim, marked=False)) == 1
    invariants.check(far)


@both
@pytest.mark.parametrize("once", [True, False])
def test_a_mark_of_what_starts(far: RunnerStore, proxy: Proxy, lost: Lost, once: bool) -> None:
    """What it marked is ours to run: nobody else would."""
    claim = hold(far)
    started = [(action, [log_texts.started(NOW)]) for action in claim.actions]
    with cut_at_commit(far, proxy, lost):
        marked = far.start(started, now=NOW, once=once)
    assert marked == {action.id for action in claim.actions}
    assert end(far, claim, marked=True) == marked
    invariants.check(far)


@both
def test_an_ending(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    """It is ours, and is counted and told as such; its successor is made once."""
    far.insert([make_new("again", interval=3600)], now=NOW)
    claim = hold(far, 2)
    assert {action.hook for action in claim.actions} == {"again", "h"}
    with cut_at_commit(far, proxy, lost):
        done = end(far, claim, marked=False)
    assert done == {action.id for action in claim.actions}
    assert far.counts() == {"complete": 2, "pending": 2}
    invariants.check(far)


@both
def test_endings_with_the_next_claim(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    """The endings are written once. What was claimed is in hand, or free for the next claim."""
    far.insert([make_new("again", interval=3600)], now=NOW)
    claim = hold(far, 2)
    far.insert([make_new("next", args=(n,)) for n in range(3)], now=NOW)
    endings = [
        concluding.ending_of(a, Completed(), started_at=NOW, ended_at=NOW, marked=False)
        for a in claim.actions
    ]
    with cut_at_commit(far, proxy, lost):
        made = far.claim_and_settle(
            endings,
            finished=[claim.id],
            now=NOW,
            limit=2,
            only=ClaimFilter(),
            start_plan=None,
            portion=len,
        )
    assert made.settled == frozenset(action.id for action in claim.actions)
    assert far.counts()["complete"] == 2
    assert made.claim is not None
    held = made.claim.make()
    assert query(far, "SELECT claim_id FROM wp_actionscheduler_claims") == [(held.id,)]
    assert len(end(far, held, marked=False)) == 2
    rest = far.claim_due(now=NOW, limit=9, only=ClaimFilter())
    assert rest is not None
    assert len(end(far, rest, marked=False)) == len(rest.actions) == far.counts()["complete"] - 4
    invariants.check(far)


@both
def test_an_ending_while_another_was_canceled(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    claim = hold(far)
    gone = claim.actions[0].id
    Queue(far.parts, close_store=False).cancel([gone])
    with cut_at_commit(far, proxy, lost):
        done = end(far, claim, marked=False)
    assert done == {action.id for action in claim.actions[1:]}
    assert column(far, "status", gone) == "canceled"
    invariants.check(far)


@both
def test_what_is_put_back(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    claim = hold(far)
    with cut_at_commit(far, proxy, lost):
        assert far.release(claim.actions, finished=[claim.id]) == 3
    assert far.counts() == {"pending": 3}
    invariants.check(far)


@both
def test_enqueueing(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    queue = Queue(far.parts, close_store=False)
    with cut_at_commit(far, proxy, lost):
        made = queue.enqueue_async("mail", [1])
    assert [row[0] for row in query(far, "SELECT action_id FROM wp_actionscheduler_actions")] == [
        made
    ]
    assert log_of(far, int(str(made))) == ["action created"]


@both
def test_enqueueing_many_of_a_new_group(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    far.insert([make_new("mail", group="g")], now=NOW)
    with cut_at_commit(far, proxy, lost):
        made = far.insert([make_new("mail", args=(n,), group="g") for n in range(50)], now=NOW)
    assert len(set(made)) == 50
    assert far.counts() == {"pending": 51}


@both
def test_words_of_a_handler(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    """A line said twice does less harm than one that is missing."""
    claim = hold(far, 1)
    with cut_at_commit(far, proxy, lost):
        far.log([(claim.actions[0].id, LogLine(message="half", at=NOW))])
    assert log_of(far, claim.actions[0].id).count("half") in (1, 2)


# Nothing arrives, and nobody says so


@pytest.fixture
def stalled(
    proxy: Proxy,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RunnerStore]:
    """A runner's store behind the proxy, which passes bytes on again when it is waited for."""
    open_queue(mysql_dsn)
    monkeypatch.setattr(mysql_engine, "RUNNER_ANSWER_SECONDS", 2.0)
    url = proxy.url(str(DatabaseAddress.from_dsn(mysql_dsn).name))
    it = open_store(DatabaseAddress.from_dsn(url), "wp_", patience_seconds=60.0, is_runner=True)
    it.register(host="here", boot="boot", pid=1, pid_started="1")
    it.insert([make_new("h")], now=NOW)
    it.session.pause = lambda seconds: proxy.flow() if seconds else None
    yield it
    it.close()


def test_a_connection_that_stalls_is_given_up(stalled: RunnerStore, proxy: Proxy) -> None:
    told: list[str] = []
    stalled.session.was_lost = told.append
    proxy.stall()
    claim = stalled.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert claim is not None
    assert len(told) == 1
    assert "timed out" in told[0]
    assert len(query(stalled, "SELECT 1 FROM wp_actionscheduler_claims")) == 1


def test_a_commit_that_arrives_late(stalled: RunnerStore, proxy: Proxy) -> None:
    """After the connection was given up: whoever looks must not look too early."""
    left = [1]

    def before(*told: object) -> None:
        if told[0] == "COMMIT" and left:
            left.clear()
            proxy.stall()

    listen(stalled.session, "before", before)
    made = stalled.insert([make_new("late")], now=NOW)
    found = query(stalled, "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = 'late'")
    assert [row[0] for row in found] == list(made)


def test_a_host_that_vanished_is_looked_for(far: RunnerStore) -> None:
    """Also while a statement takes long: by the system, not by a limit of ours."""
    link = far.session._connected().raw._sock
    assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15


def test_a_runner_waits_for_locks_less_than_for_answers(stalled: RunnerStore) -> None:
    names = ("innodb_lock_wait_timeout", "lock_wait_timeout", "wait_timeout")
    [row] = query(stalled, f"SELECT {', '.join(f'@@SESSION.{name}' for name in names)}")
    assert [int(str(value)) for value in row] == [1, 1, 6], "a half and three times of 2 s"


def test_an_idle_connection_that_was_closed_is_replaced_without_a_word(
    far: RunnerStore, proxy: Proxy
) -> None:
    """Patience or not: as when a program enqueues once a day."""
    far.session.patience_seconds = 0.0
    proxy.cut()
    assert far.counts() == {}


@both
def test_a_batch_of_posts_is_moved_once_and_told(
    far: RunnerStore, proxy: Proxy, lost: Lost, tmp_path: Path
) -> None:
    legacy = LegacyStore(far)
    legacy.post("first")
    with Journal(tmp_path / "journal", kind="post-store", site="far") as journal:
        it = PostStore(far.parts)
        it.move(journal, io.StringIO())
        post = legacy.post("second")
        with cut_at_commit(far, proxy, lost):
            done = it.move(journal, io.StringIO())
        steps = [step for step in journal.steps() if str(post) in step.get("moved", {})]
    assert done.moved == {"pending": 1}
    assert len(steps) == 1
    assert legacy.count("posts") == 0
    assert legacy.count("actionscheduler_actions", "hook = 'second'") == 1


@both
def test_a_batch_of_posts_is_put_back_once_and_told(
    far: RunnerStore, proxy: Proxy, lost: Lost, tmp_path: Path
) -> None:
    legacy = LegacyStore(far)
    legacy.post("one")
    before = snapshot(far)
    with Journal(tmp_path / "journal", kind="post-store", site="far") as journal:
        PostStore(far.parts).move(journal, io.StringIO())
        way = Undo(far.parts, journal)
        with cut_at_commit(far, proxy, lost):
            done = way.run()
    assert (done.restored, done.present, done.gone, done.is_good) == (1, 0, 0, True)
    assert snapshot(far) == before
    assert legacy.count("actionscheduler_actions") == 0


@both
def test_an_import_that_is_taken_back_is_told(
    far: RunnerStore, proxy: Proxy, lost: Lost, tmp_path: Path
) -> None:
    rows = b"".join(
        dumped(one)
        for one in (
            {"wpbridge": "actions", "version": 1, "origin": "o", "zone": "UTC"},
            {"id": 1, "hook": "h", "status": "pending", "args": [], "schedule": {"kind": "async"}},
            {"wpbridge": "end", "actions": 1},
        )
    )
    with Journal(tmp_path / "journal", kind=taking_back.KIND, site="s") as journal:
        it = Import(far.parts, Wishes(now=NOW), lambda *_: None, journal=journal)
        assert it.run(files.read(io.BytesIO(rows))).added == 1
        with cut_at_commit(far, proxy, lost):
            done = taking_back.take_back(far.parts, journal)
    assert done.removed == {"pending": 1}


@pytest.fixture
def cron(far: RunnerStore) -> Queue:
    """A site whose WP-Cron has one event."""
    make_tables(far, ["options"])
    data = (
        'a:2:{i:1900000000;a:1:{s:1:"h";a:1:{s:32:"40cd750bba9870f18aada2478b24840a";a:2:{'
        's:8:"schedule";b:0;s:4:"args";a:0:{}}}}s:7:"version";i:2;}'
    )
    change(far, "INSERT INTO wp_options (option_name, option_value) VALUES ('cron', :v)", v=data)
    far.parts.own.ensure(far.names.keys)
    far.parts.groups.ensure(GROUP)
    return Queue(far.parts, close_store=False)


@both
def test_events_that_are_moved_are_told(
    far: RunnerStore, proxy: Proxy, cron: Queue, lost: Lost, tmp_path: Path
) -> None:
    """And watched and compared afterwards, which is left out where nothing seems to be moved."""
    with (
        Journal(tmp_path / "journal", kind="wp-cron", site="s") as journal,
        cut_at_commit(far, proxy, lost),
    ):
        moved = Mover(cron, journal, choice=Choice()).move()
    assert (moved.moved, moved.checked) == (1, 1)


@both
def test_events_that_are_put_back_are_told(
    far: RunnerStore, proxy: Proxy, cron: Queue, lost: Lost, tmp_path: Path
) -> None:
    with Journal(tmp_path / "journal", kind="wp-cron", site="s") as journal:
        Mover(cron, journal, choice=Choice()).move()
        with cut_at_commit(far, proxy, lost):
            done = wp_cron_undo.Undo(cron, journal).run()
    assert (done.restored, done.ended) == (1, 0)


@both
@pytest.mark.parametrize("deed", ["copy", "undo"])
def test_copies_of_a_files_events_are_told_made_and_taken_back(  # noqa: PLR0917 - fixtures
    far: RunnerStore, proxy: Proxy, cron: Queue, lost: Lost, tmp_path: Path, deed: str
) -> None:
    cut, none = cut_at_commit(far, proxy, lost), nullcontext()
    with Journal(tmp_path / "journal", kind="wp-cron", site="s") as journal:
        with cut if deed == "copy" else none:
            copied = Mover(cron, journal, choice=Choice()).copy(read(cron))
        with cut if deed == "undo" else none:
            undone = wp_cron_undo.Undo(cron, journal).run()
    assert (copied.moved, copied.checked, undone.copies, undone.busy) == (1, 1, 1, 0)
    assert far.counts() == {"canceled": 1}


@both
def test_what_was_known_before_is_not_told_as_added(
    far: RunnerStore, proxy: Proxy, lost: Lost
) -> None:
    """All that is known after a lost answer was taken for the lost transaction's."""
    far.parts.own.ensure(far.names.keys)
    far.parts.groups.ensure("")
    head = {"wpbridge": "actions", "version": 1, "origin": "o", "zone": "UTC"}
    some: list[dict[str, object]] = [
        {"id": n, "hook": "h", "status": "pending", "args": [], "schedule": {"kind": "async"}}
        for n in (1, 2, 3)
    ]

    def imported(rows: list[dict[str, object]]) -> tuple[int, int]:
        lines = [dumped(one) for one in (head, *rows, {"wpbridge": "end", "actions": len(rows)})]
        data = io.BytesIO(b"".join(lines))
        report = Import(far.parts, Wishes(now=NOW), lambda *_: None).run(files.read(data))
        return report.added, report.known

    assert imported(some[:1]) == (1, 0)
    with cut_at_commit(far, proxy, lost):
        assert imported(some) == (2, 1)


@both
def test_a_change_that_is_noted(far: RunnerStore, proxy: Proxy, lost: Lost) -> None:
    """What is requeued is requeued once, and has one row in the audit table."""
    jobs = JobQueue(far.parts, close_store=False)
    ids = far.insert([make_new("h", args=(n,)) for n in range(3)], now=NOW)
    change(far, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    jobs.store.audit.prepare()
    with cut_at_commit(far, proxy, lost):
        done = carry_out(jobs, "requeue", ids, {"again": True}, who="user:anna")
    assert done.ids == tuple(ids)
    assert far.counts() == {"failed": 3, "pending": 3}
    new = query(far, "SELECT action_id FROM wp_actionscheduler_actions WHERE status = 'pending'")
    assert sorted(done.made.values()) == sorted(int(str(one)) for (one,) in new)
    [(detail,)] = query(far, "SELECT detail FROM wp_wpbridge_audit")
    assert json.loads(str(detail))["changed"] == 3
