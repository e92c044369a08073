"""``--tz``: times for people in a zone, and in UTC for programs whatever it says."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli_helpers import Site, is_one_line
from factories import insert, make_new
from rows import change
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ROME = ZoneInfo("Europe/Rome")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(?:Z|[+-]\d\d:\d\d)")
LISTS = (
    "list",
    "list --limit 0",
    "get 1",
    "logs 2",
    "stats",
    "stats --by hour --hours 2",
    "failures",
    "claims",
    "pause",
    "hooks",
)
TEXTS = (
    "status",
    "next later",
    "explain 1",
    "explain 2",
    "doctor --only runners,pauses",
    "clean --status failed --before 2026-11-01T10:00:30Z --dry-run",
    "migrate wp-cron --dry-run --file cron",
    "enqueue h --at 2099-01-01T09:00Z --dry-run",
    "pause --hook h --until 2099-01-01T00:00Z --dry-run",
)
CRON = (
    b'a:2:{i:1830297600;a:1:{s:1:"h";a:1:{s:1:"k";a:2:{s:8:"schedule";b:0;s:4:"args";a:0:{}}}}'
    b's:7:"version";i:2;}'
)


def move_to_rome(store: RunnerStore) -> None:
    change(store, "CREATE TABLE wp_options (option_name VARCHAR(191), option_value TEXT)")
    change(store, "INSERT INTO wp_options VALUES ('timezone_string', 'Europe/Rome')")


@pytest.fixture
def site(lite: Site) -> Site:
    """A site in Rome: a late action, a failed one, a future one, and a pause."""
    store = lite.store
    move_to_rome(store)
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    insert(store, make_new("h", interval=60, now=now), make_new("bad", now=now), now=now)
    insert(store, make_new("later", due_in=40_000_000.0, now=now), now=now)
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', claim_id = 7,"
        " last_attempt_gmt = '2026-11-01 00:30:00' WHERE action_id = 2",
    )
    change(store, "UPDATE wp_actionscheduler_actions SET claim_id = 8 WHERE action_id = 3")
    change(store, "INSERT INTO wp_actionscheduler_claims VALUES (8, '2026-11-01 01:30:00')")
    change(
        store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (2, 'action failed: no', '2026-10-25 00:30:00', '2026-10-25 02:30:00')",
    )
    lite.ok("pause", "--hook", "later", "--until", "2099-07-01T00:00Z")
    (lite.folder / "cron").write_bytes(CRON)
    return lite


def test_the_site_s_own_zone(
    dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    site = Site(dsn, tmp_path, open_queue(dsn))
    move_to_rome(site.store)
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    insert(site.store, make_new("h", due_in=0.0, now=now), now=now)
    assert "\t2026-07-01T14:00:00+02:00\t" in site.ok("list", "--tz", "site")
    assert "\t2026-07-01T12:00:00Z\t" in site.ok("list")


def test_people_see_the_times_of_the_zone(site: Site) -> None:
    for told in (*LISTS, *TEXTS):
        plain, zoned = (site(*told.split(), *more) for more in ((), ("--tz", "site")))
        if told.startswith("enqueue"):
            zoned = site(*told.split(), env={"WPBRIDGE_TZ": "site"})
        assert zoned.code == plain.code, zoned
        times = [datetime.fromisoformat(match[0]) for match in TIME.finditer(zoned.out)]
        assert times, told
        assert all(at.utcoffset() == at.astimezone(ROME).utcoffset() for at in times), zoned.out
        assert TIME.sub(in_utc, zoned.out) == plain.out


def in_utc(match: re.Match[str]) -> str:
    at = datetime.fromisoformat(match[0]).astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ" if match[1] else "%Y-%m-%dT%H:%MZ")


def test_programs_see_utc_whatever_the_zone(site: Site) -> None:
    asked = [(told, "json") for told in LISTS]
    asked += [(told, "json") for told in TEXTS if not told.startswith(("next", "enqueue"))]
    asked += [(told, style) for told in ("list", "get 1") for style in ("jsonl", "csv", "yaml")]
    for told, style in asked:
        plain = site(*told.split(), "--format", style)
        assert TIME.search(plain.out), told
        assert site(*told.split(), "--format", style, env={"WPBRIDGE_TZ": "site"}) == plain
    assert site("list", "--format", "json", "--tz", "site") == site("list", "--format", "json")
    for field in ("scheduled", "last_attempt", "first"):
        plain = site("list", "--field", field)
        assert site("list", "--field", field, "--tz", "site") == plain


def test_a_zone_by_flag_variable_and_file(lite: Site) -> None:
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    insert(lite.store, make_new("h", due_in=0.0, now=now), now=now)

    def scheduled(*flags: str, **env: str) -> str:
        return lite("list", *flags, env=env).out.splitlines()[1].split("\t")[3]

    assert scheduled() == scheduled("--tz", "utc") == "2026-07-01T12:00:00Z"
    assert scheduled("--tz", "site") == "2026-07-01T12:00:00Z"
    assert scheduled("--tz", "asia/kolkata") == "2026-07-01T17:30:00+05:30"
    assert scheduled(WPBRIDGE_TZ="America/New_York") == "2026-07-01T08:00:00-04:00"
    (lite.folder / "wpbridge.toml").write_text('[run]\ntz = "Europe/Rome"\n', encoding="utf-8")
    assert scheduled() == "2026-07-01T14:00:00+02:00"
    assert scheduled("--tz", "UTC") == "2026-07-01T12:00:00Z"


def test_dates_that_are_given_are_utc_whatever_the_zone(lite: Site) -> None:
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    insert(lite.store, make_new("h", due_in=0.0, now=now), now=now)
    for since, count in (("2026-07-01T12:00", 1), ("2026-07-01T12:01", 0)):
        told = ("list", "--since", since, "--format", "count")
        assert lite.ok(*told, "--tz", "Asia/Tokyo") == f"{count}\n"
    # What is shown can be given back.
    assert lite.ok("list", "--since", "2026-07-01T21:00:00+09:00", "--format", "ids") == "1\n"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Rom", "there is no time zone 'Europe/Rom'; did you mean Europe/Rome?"),
        ("Mars/Olympus", "there is no time zone 'Mars/Olympus', use one like Europe/Rome or UTC"),
        ("", "there is no time zone ''"),
        ("../../etc/passwd", "there is no time zone"),
        ("+02:00", "there is no time zone '+02:00'"),
        ("\x1b[31m", "there is no time zone"),
    ],
)
def test_what_is_no_zone(lite: Site, zone: str, words: str) -> None:
    for command in ("list", "status", "doctor", "explain 1"):
        done = lite(*command.split(), "--tz", zone)
        assert is_one_line(done, 2), done
        assert words in done.err
    refused = lite("list", env={"WPBRIDGE_TZ": zone or "-"})
    assert is_one_line(refused, 78)
    assert "WPBRIDGE_TZ expects site, UTC or a time zone such as Europe/Rome" in refused.err


def test_the_end_of_the_calendar_is_told_in_utc(lite: Site) -> None:
    now = SystemClock().now()
    insert(lite.store, make_new("h", now=now), now=now)
    change(
        lite.store,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '9999-12-31 23:59:59'",
    )
    assert "\t9999-12-31T23:59:59Z\t" in lite.ok("list", "--tz", "Asia/Tokyo")
