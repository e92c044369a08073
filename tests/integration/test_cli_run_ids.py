"""``run ID…``: these actions, now."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli_helpers import Done, Site, is_one_line, tables
from factories import insert, make_new
from invariants import check
from rows import change, column, log_of
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
from wpbridge import Context, Retry, hook

@hook("ok")
def ok(*values): pass

@hook("bad")
def bad(*values): raise ValueError("no good")

@hook("later")
def later(*values): raise Retry(after=600)

@hook("enqueues")
def enqueues(*values, ctx: Context): ctx.queue.enqueue_async("ok")
"""
ACTIONS = "wp_actionscheduler_actions"


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    (tmp_path / "acts.py").write_text(HANDLERS, encoding="utf-8")
    return Site(dsn, tmp_path, open_queue(dsn))


def add(site: Site, hook: str, **more: object) -> int:
    now = SystemClock().now()
    made = make_new(hook, now=now, **more)  # type: ignore[arg-type]  # its own keywords
    return int(insert(site.store, made, now=now)[0])


def set_(site: Site, action_id: int, **columns: object) -> None:
    parts = ", ".join(f"{name} = :{name}" for name in columns)
    change(site.store, f"UPDATE {ACTIONS} SET {parts} WHERE action_id = :i", i=action_id, **columns)


def run(site: Site, *arguments: object) -> Done:
    return site("run", *map(str, arguments), "--handlers", "acts")


def totals(done: Done) -> tuple[int, int, int]:
    told = json.loads(done.out)
    return told["claimed"], told["complete"], told["failed"]


def test_it_runs_before_the_date_and_only_what_is_named(site: Site) -> None:
    future, other = add(site, "ok", due_in=86400.0), add(site, "ok")
    done = run(site, future)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("claimed 1, complete 1, failed 0 in ")
    assert column(site.store, "status", future) == "complete"
    assert column(site.store, "status", other) == "pending"
    assert log_of(site.store, future)[-1].startswith("action complete")
    check(site.store)


def test_it_runs_what_is_paused_and_what_waits(site: Site) -> None:
    paused = add(site, "ok", group="g")
    for scope in (["--all"], ["--hook", "ok"], ["--group", "g"]):
        site.ok("pause", *scope)
    site.ok("enqueue", "ok", "--after", str(paused))
    done = run(site, paused, 2, "--format", "json")
    assert (done.code, totals(done)) == (0, (2, 2, 0))
    check(site.store)


def test_what_is_not_pending_or_claimed_is_left_and_told_of(site: Site) -> None:
    ids = [add(site, "ok") for _ in range(4)]
    set_(site, ids[0], status="complete")
    set_(site, ids[1], status="in-progress", claim_id=7)
    set_(site, ids[2], claim_id=7)
    done = run(site, *ids, "--format", "json")
    assert (done.code, totals(done)) == (1, (1, 1, 0))
    assert done.err.splitlines() == [
        "action 1 left as it is: it is complete",
        "action 2 left as it is: it is in-progress",
        "action 3 left as it is: a runner has claimed it",
    ]
    none = run(site, ids[0], "--format", "json")
    assert (none.code, totals(none)) == (1, (0, 0, 0))
    assert run(site, ids[0], "--quiet").out == ""


def test_a_process_has_the_same_exit_codes(site: Site) -> None:
    first, bad, strange = add(site, "ok"), add(site, "bad"), add(site, "nobody")
    done = site.process("run", str(first), "--handlers", "acts", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert site.process("run", str(bad), "--handlers", "acts", "--fail-on-error").code == 3
    assert is_one_line(site.process("run", str(strange), "--handlers", "acts"), 1)
    assert is_one_line(site.process("run"), 2)
    check(site.store)


def test_what_cannot_be_run_at_all_stops_everything(site: Site) -> None:
    known, strange = add(site, "ok"), add(site, "nobody")
    before = tables(site.store)
    unknown = run(site, known, 777, 778)
    assert is_one_line(unknown, 1)
    assert "there is no action 777, 778" in unknown.err
    orphan = run(site, known, strange)
    assert is_one_line(orphan, 1)
    assert "action 2: hook nobody is not run here: no handler is here, and php is off" in orphan.err
    for told in ("x", "0", ""):
        assert is_one_line(run(site, told), 2)
    assert tables(site.store) == before


def test_a_schedule_that_only_php_knows_is_left(site: Site) -> None:
    foreign = add(site, "ok")
    set_(site, foreign, schedule='O:9:"My_Class1":0:{}')
    for more in ([], ["--dry-run"]):
        done = run(site, foreign, *more)
        assert done.code == 1, done
        assert done.err == "action 1 left as it is: only PHP knows its kind of schedule\n"
    assert column(site.store, "status", foreign) == "pending"


def test_ids_may_be_told_twice_or_in_one_word(site: Site) -> None:
    first, second = add(site, "ok"), add(site, "ok")
    done = run(site, f"{first} {second}", f"0{first}", "--format", "json")
    assert (done.code, totals(done)) == (0, (2, 2, 0))


def test_a_recurring_one_that_runs_early_keeps_its_date(site: Site) -> None:
    due = datetime.now(UTC) + timedelta(days=3)
    early = add(site, "ok", interval=3600, due_in=3 * 86400.0)
    site.ok("enqueue", "ok", "--cron", "0 3 * * *", "--tz", "Europe/Rome")
    cron_date = column(site.store, "scheduled_date_gmt", 2)
    assert run(site, early, 2).code == 0
    left = json.loads(site.ok("list", "--status", "pending", "--format", "json"))
    cron, interval = sorted(left, key=lambda row: str(row["kind"]))[:2]
    assert [row["kind"] for row in (cron, interval)] == ["cron", "interval"]
    assert len(left) == 2
    assert abs(datetime.fromisoformat(interval["scheduled"]) - due) < timedelta(seconds=60)
    assert cron["scheduled"] == str(cron_date).replace(" ", "T") + "Z"
    assert cron["tz"] == "Europe/Rome"


def test_endings_and_exit_codes(site: Site) -> None:
    bad, later, makes = add(site, "bad"), add(site, "later"), add(site, "enqueues")
    done = run(site, bad, later, makes, "--format", "json")
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["failed"], told["retried"], told["complete"]) == (1, 1, 1)
    assert log_of(site.store, bad)[-1] == "action failed via wpbridge: no good"
    assert run(site, add(site, "bad"), "--fail-on-error").code == 3
    assert site.store.counts()["pending"] == 2
    check(site.store)


def test_a_dry_run_tells_which_and_changes_nothing(site: Site) -> None:
    first, second = add(site, "ok", due_in=3600.0, group="g"), add(site, "bad")
    set_(site, second, status="failed")
    site.ok("pause", "--all")
    before = tables(site.store)
    done = run(site, first, second, "--dry-run")
    assert done.code == 1
    assert done.out == f"would claim 1 action\n{first}\tok\tg\n"
    assert done.err == f"action {second} left as it is: it is failed\n"
    told = run(site, first, "--dry-run", "--format", "json")
    assert (told.code, told.err) == (0, "")
    assert json.loads(told.out) == {
        "would_claim": 1,
        "actions": [{"id": first, "hook": "ok", "group": "g"}],
    }
    assert tables(site.store) == before


def test_without_handlers_it_says_so(site: Site) -> None:
    add(site, "ok")
    done = site("run", "1")
    assert is_one_line(done, 1)
    assert "hook ok is not run here" in done.err


def test_a_name_does_not_steer_the_terminal(site: Site) -> None:
    (site.folder / "acts.py").write_text(
        "from wpbridge import hook\n@hook('\\x1b[31mred')\ndef red(*values): pass\n",
        encoding="utf-8",
    )
    red = add(site, "\x1b[31mred", group="\x9b1m")
    out = run(site, red, "--dry-run").out
    assert out.splitlines()[1] == f"{red}\t\\x1b[31mred\t\\x9b1m"
    due = site("claim-and-run", "--handlers", "acts", "--dry-run").out
    assert due.splitlines()[1] == f"{red}\t\\x1b[31mred\t\\x9b1m"
