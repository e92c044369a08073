"""What ended long ago goes into a file that import reads, and only then out of the tables."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from factories import NOW, insert, make_new
from rows import change, query
from wpbridge.action import ActionId, Status
from wpbridge.clock import to_text
from wpbridge.errors import InputError
from wpbridge.migrate.archive import Archive, Report, asked, file_for, journal_of
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.transfer.files import read, source
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.wishes import Wishes
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.retention import Expiry

OLD = NOW - timedelta(days=40)
RULES = [
    Expiry(status=status, before=NOW - timedelta(days=31))
    for status in (Status.COMPLETE, Status.FAILED)
]


def ended(store: RunnerStore, count: int, status: str = "complete", *, days: int = 40) -> list[int]:
    ids = insert(store, *[make_new(f"h{n % 3}", args=("ä", n), group="g") for n in range(count)])
    at = to_text(NOW - timedelta(days=days))
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = :s, attempts = 1, last_attempt_gmt = :at,"
        f" last_attempt_local = :at WHERE action_id BETWEEN {ids[0]} AND {ids[-1]}",
        s=status,
        at=at,
    )
    return [int(one) for one in ids]


def archived(store: RunnerStore, file: Path, *, batch_size: int = 7, **more: Any) -> Report:
    site = name_of(store.parts)
    with Journal(journal_of(file), kind="archive", site=site, asked=asked(RULES)) as journal:
        return Archive(store.parts, journal, file, now=NOW).run(batch_size=batch_size, **more)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def ids_in(file: Path) -> list[int]:
    return [line["id"] for line in lines(file) if "id" in line]


def ids_of(store: RunnerStore) -> list[int]:
    rows = query(store, "SELECT action_id FROM wp_actionscheduler_actions ORDER BY action_id")
    return [int(str(row[0])) for row in rows]


def test_old_rows_move_with_their_logs_and_others_stay(store: RunnerStore, tmp_path: Path) -> None:
    old = ended(store, 20) + ended(store, 5, "failed")
    young = ended(store, 3, days=2) + ended(store, 3, "canceled")
    before = [ActionId(i) for i in old]
    whole = store.session.run(lambda c: store.parts.whole_rows.on(c, before))
    file = tmp_path / "a.jsonl.gz"
    report = archived(store, file)
    assert (report.archived, report.stayed, report.problems) == (25, 0, [])
    assert ids_in(file) == old
    assert ids_of(store) == young
    assert query(
        store, "SELECT DISTINCT action_id FROM wp_actionscheduler_logs ORDER BY action_id"
    ) == [(i,) for i in young]
    assert lines(file)[-1] == {
        "wpbridge": "end",
        "actions": 25,
        "statuses": {"complete": 20, "failed": 5},
    }
    assert [line["logs"][0][0] for line in lines(file)[1:-1]] == [one.logs[0][0] for one in whole]


def test_import_takes_it_back_as_it_was(store: RunnerStore, tmp_path: Path) -> None:
    old = ended(store, 12)
    which = "hook, status, args, schedule, attempts, last_attempt_gmt, scheduled_date_gmt"
    ask = f"SELECT {which} FROM wp_actionscheduler_actions ORDER BY action_id"
    before = query(store, ask)
    file = tmp_path / "a.jsonl.gz"
    archived(store, file)
    assert query(store, ask) == []
    rejected: list[str] = []
    with source(str(file)) as stream:
        work = Import(
            store.parts, Wishes(now=NOW, into_itself=True), lambda _, why: rejected.append(why)
        )
        report = work.run(read(stream))
    assert report.is_good
    assert rejected == []
    assert query(store, ask) == before
    assert len(ids_of(store)) == len(old)


def test_a_row_that_lives_again_meanwhile_stays(
    store: RunnerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a neighbour came between."""
    old = ended(store, 10)
    retention = type(store.parts.retention)
    real = retention.next

    def late(*given: Any) -> Any:
        found = real(*given)
        change(
            store,
            f"UPDATE wp_actionscheduler_actions SET status = 'pending' WHERE action_id = {old[3]}",
        )
        return found

    monkeypatch.setattr(retention, "next", late)
    file = tmp_path / "a.jsonl.gz"
    report = archived(store, file, batch_size=100)
    assert report.archived == 9
    assert ids_of(store) == [old[3]]
    assert old[3] not in ids_in(file)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["written", "noted", "deleted", "torn"])
def test_stopped_in_a_batch_it_goes_on_without_loss_or_double(
    store: RunnerStore, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ended(store, 30)
    file = tmp_path / "a.jsonl.gz"
    add, remove = Journal.add, store.parts.retention.remove
    seen = 0

    def stop(step: dict[str, Any]) -> bool:
        nonlocal seen
        seen += int(step.get("count", 0)) > 0
        return bool(seen == 2)

    def adding(self: Journal, step: dict[str, Any]) -> None:
        if moment in ("written", "torn") and "to" in step and stop(step):
            raise Killed
        if moment == "deleted" and "moved" in step and stop({"count": 1}):
            raise Killed
        add(self, step)

    def removing(*given: Any) -> None:
        if moment == "noted" and stop({"count": 1}):
            raise Killed
        remove(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", adding)
        patch.setattr(type(store.parts.retention), "remove", lambda _self, *g: removing(*g))
        with pytest.raises(Killed):
            archived(store, file)
    if moment == "torn":
        file.write_bytes(file.read_bytes()[:-9])
    assert set(ids_of(store)) | set(ids_in_torn(file)) == set(old)
    report = archived(store, file)
    assert (report.archived, report.problems) == (30, [])
    assert ids_in(file) == old
    assert ids_of(store) == []


def ids_in_torn(file: Path) -> list[int]:
    with source(str(file)) as stream:
        return [line.value["id"] for line in read(stream) if "id" in line.value]


def test_a_noted_row_that_was_changed_before_it_goes_on_stays(
    store: RunnerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ended(store, 5)
    file = tmp_path / "a.jsonl.gz"

    def killed(*_given: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(store.parts.retention), "remove", killed)
        with pytest.raises(Killed):
            archived(store, file)
    assert ids_of(store) == old
    change(
        store,
        f"UPDATE wp_actionscheduler_actions SET status = 'pending' WHERE action_id = {old[2]}",
    )
    report = archived(store, file)
    assert (report.archived, report.stayed, report.problems) == (5, 1, [])
    assert ids_of(store) == [old[2]]


def test_a_file_that_is_shorter_than_noted_is_refused(store: RunnerStore, tmp_path: Path) -> None:
    ended(store, 5)
    file = tmp_path / "a.jsonl.gz"
    archived(store, file)
    text = journal_of(file).read_text().splitlines(keepends=True)
    journal_of(file).write_text("".join(text[:-1]))
    file.write_bytes(b"")
    with pytest.raises(InputError, match="not the file"):
        archived(store, file)


def test_files_are_named_by_date_and_never_written_twice(
    store: RunnerStore, tmp_path: Path
) -> None:
    site = name_of(store.parts)
    first = file_for(str(tmp_path), NOW, site)
    assert first.name == "actions-2026-11-24.jsonl.gz"
    ended(store, 2)
    archived(store, first)
    assert file_for(str(tmp_path), NOW, site).name == "actions-2026-11-24-2.jsonl.gz"
    with pytest.raises(InputError, match="never changed"):
        file_for(str(first), NOW, site)
    with pytest.raises(InputError, match="no such folder"):
        file_for(str(tmp_path / "missing"), NOW, site)
    text = journal_of(first).read_text().splitlines(keepends=True)
    journal_of(first).write_text("".join(text[:-1]))
    assert file_for(str(tmp_path), NOW + timedelta(days=1), site) == first
    assert file_for(str(first), NOW, site) == first


def test_what_another_site_has_begun_in_the_folder_is_left_alone(
    store: RunnerStore, tmp_path: Path
) -> None:
    begun = tmp_path / "actions-2026-11-23.jsonl.gz"
    Journal(journal_of(begun), kind="archive", site="another", asked=asked(RULES)).close()
    file = file_for(str(tmp_path), NOW, name_of(store.parts))
    assert file.name == "actions-2026-11-24.jsonl.gz"
    ended(store, 2)
    assert archived(store, file).archived == 2


@pytest.mark.parametrize(
    "step", [{"to": 5}, {"from": 0, "to": "far"}, {"moved": 1}, {"from": 0, "to": 5, "count": []}]
)
def test_a_damaged_step_is_told(
    store: RunnerStore, tmp_path: Path, step: dict[str, object]
) -> None:
    file = tmp_path / "old.jsonl.gz"
    with Journal(
        journal_of(file), kind="archive", site=name_of(store.parts), asked=asked(RULES)
    ) as journal:
        journal.add(step)
    with pytest.raises(InputError, match="damaged"):
        archived(store, file)
