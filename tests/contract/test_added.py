"""What an import added is taken back, and nothing else is, on every store."""

import contextlib
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from factories import NOW, insert, make_new
from rows import change, query
from transfers import add_row, exported, fill, told
from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.transfer import files
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.taking_back import KIND, take_back
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.store.running.runner_store import RunnerStore

RUN = NOW + timedelta(days=3_650)
"""After all that the queue of everything was made with, whose dates are true ones."""
LATER = RUN + timedelta(minutes=5)
OWN = ("wpbridge_keys", "wpbridge_waits", "wpbridge_zones")


@pytest.fixture
def other(tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    """Where the actions come from."""
    return open_queue(f"sqlite:///{tmp_path / 'other.db'}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def imported(store: RunnerStore, data: bytes, file: Path, now: datetime = RUN) -> Report:
    with Journal(file, kind=KIND, site="s") as journal:
        it = Import(store.parts, Wishes(now=now), lambda *_: None, journal=journal)
        return it.run(files.read(io.BytesIO(data)))


def undone(store: RunnerStore, file: Path, *, dry_run: bool = False) -> tuple[int, int, int]:
    with Journal(file, kind=KIND, site="s") as journal:
        done = take_back(store.parts, journal, dry_run=dry_run)
    return done.removed.total(), done.changed, done.held


def count(store: RunnerStore, table: str) -> int:
    return int(str(query(store, f"SELECT COUNT(*) FROM wp_{table}")[0][0]))


def hooks(store: RunnerStore) -> list[str]:
    rows = query(store, "SELECT hook FROM wp_actionscheduler_actions ORDER BY action_id")
    return [str(row[0]) for row in rows]


def test_nothing_is_left_of_them(store: RunnerStore, other: RunnerStore, file: Path) -> None:
    many = fill(other)
    insert(store, make_new("mine"), make_new("mine", group="mail"))
    before = exported(store)
    assert imported(store, exported(other), file).added == many
    assert undone(store, file, dry_run=True) == (many, 0, 0)
    assert count(store, "actionscheduler_actions") == many + 2
    assert undone(store, file) == (many, 0, 0)
    assert told(exported(store)) == told(before)
    assert [count(store, table) for table in OWN] == [0, 0, 0]
    assert count(store, "actionscheduler_logs") == 2
    assert undone(store, file) == (0, 0, 0)
    assert imported(store, exported(other), file).added == many


def test_what_has_run_or_ended_since_stays(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    tried = to_text(NOW - timedelta(days=1))
    for hook, status in (
        ("done", "complete"),
        ("failed", "failed"),
        ("again", "failed"),
        ("runs", "pending"),
        ("ran", "pending"),
        ("canceled", "pending"),
        ("waits", "pending"),
    ):
        date = tried if status != "pending" else "0000-00-00 00:00:00"
        add_row(other, hook=hook, status=status, last_attempt_gmt=date, last_attempt_local=date)
    imported(store, exported(other), file)
    for hook, words in (
        ("again", f"last_attempt_gmt = '{to_text(LATER)}'"),
        ("runs", "status = 'in-progress', claim_id = 3"),
        ("ran", f"status = 'complete', last_attempt_gmt = '{to_text(LATER)}'"),
        ("canceled", "status = 'canceled'"),
    ):
        change(store, f"UPDATE wp_actionscheduler_actions SET {words} WHERE hook = '{hook}'")
    assert undone(store, file) == (3, 3, 1)
    assert hooks(store) == ["again", "runs", "ran", "canceled"]
    # Those that stay keep their keys: the same file does not add them again.
    assert imported(store, exported(other), file, LATER).known == 4


def test_what_another_journal_tells_of_stays(
    store: RunnerStore, other: RunnerStore, file: Path, tmp_path: Path
) -> None:
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    insert(other, make_new("b"))
    second = tmp_path / "second"
    assert imported(store, exported(other), second, LATER).known == 1
    assert undone(store, second) == (1, 0, 0)
    assert hooks(store) == ["a"]
    assert undone(store, file) == (1, 0, 0)


def test_what_was_noted_and_never_written_is_nothing(
    store: RunnerStore, other: RunnerStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(other, make_new("a"))

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(store.parts.bulk), "add", die)
        with pytest.raises(KeyboardInterrupt):
            imported(store, exported(other), file)
    assert undone(store, file) == (0, 0, 0)
    assert imported(store, exported(other), file, LATER).added == 1
    assert undone(store, file) == (1, 0, 0)


def test_a_damaged_journal_is_told(store: RunnerStore, file: Path) -> None:
    with Journal(file, kind=KIND, site="s") as journal:
        journal.add({"run": "today", "origin": "o", "adding": {"pending": [[1, 2]]}})
    with pytest.raises(InputError, match="damaged"):
        undone(store, file)


def test_what_another_import_of_the_same_second_has_added_stays(
    store: RunnerStore, other: RunnerStore, file: Path, tmp_path: Path
) -> None:
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    second = tmp_path / "second"
    assert imported(store, exported(other), second).known == 1
    assert undone(store, second) == (0, 0, 0)
    assert hooks(store) == ["a"]


def test_what_ended_at_the_origin_while_it_was_copied_has_not_run_here(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    """The origin's runners go on while it is copied, as the how-to says, or its clock is ahead."""
    ended = to_text(RUN + timedelta(seconds=3))
    add_row(other, hook="ended", status="complete", last_attempt_gmt=ended)
    imported(store, exported(other), file)
    assert undone(store, file) == (1, 0, 0)


def test_what_an_action_of_here_waits_for_stays(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    """Else it waits for ever (hold), or takes it for failed (run, cancel)."""
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    first = int(str(query(store, "SELECT action_id FROM wp_actionscheduler_actions")[0][0]))
    Queue(store.parts, close_store=False).enqueue(Enqueue(hook="mine", after=[ActionId(first)]))
    assert undone(store, file) == (0, 1, 0)


def test_what_somebody_has_rescheduled_stays(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    first = int(str(query(store, "SELECT action_id FROM wp_actionscheduler_actions")[0][0]))
    Queue(store.parts, close_store=False).reschedule(
        [ActionId(first)], at=LATER + timedelta(days=1)
    )
    assert undone(store, file) == (0, 1, 0)


@pytest.mark.parametrize(
    "step",
    [
        {"run": "2026-01-01 00:00:00", "adding": {"pending": [[1, 2]]}},
        {"run": "2026-01-01 00:00:00", "origin": "o", "adding": {"pending": [[1]]}},
        {"run": "2026-01-01 00:00:00", "origin": "o", "adding": [1]},
        {"run": 5, "origin": "o", "adding": {"pending": [[1, 2]]}},
    ],
)
def test_a_damaged_step_is_told(store: RunnerStore, file: Path, step: dict[str, object]) -> None:
    with Journal(file, kind=KIND, site="s") as journal:
        journal.add(step)
    with pytest.raises(InputError, match="damaged"):
        undone(store, file)


def test_keys_that_are_gone_are_not_nothing_to_do(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    """``wpbridge uninstall`` drops them: the undo says "deleted 0 actions", with exit code 0."""
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    store.parts.own.drop()
    with contextlib.suppress(InputError):
        assert sum(undone(store, file)) == 1


def test_two_runs_of_one_second_are_not_counted_twice(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    insert(other, make_new("a"))
    imported(store, exported(other), file)
    imported(store, exported(other), file)
    assert undone(store, file, dry_run=True) == undone(store, file) == (1, 0, 0)


def test_what_somebody_has_requeued_stays(
    store: RunnerStore, other: RunnerStore, file: Path
) -> None:
    """Its work goes on in the action that was made of it, whose history it is."""
    add_row(other, hook="a", status="failed", last_attempt_gmt="2026-01-01 00:00:00")
    imported(store, exported(other), file)
    first = int(str(query(store, "SELECT action_id FROM wp_actionscheduler_actions")[0][0]))
    Queue(store.parts, close_store=False).requeue([ActionId(first)])
    assert undone(store, file) == (0, 1, 0)
