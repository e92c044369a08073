"""``enqueue`` and ``generate``: every option, many at a time, and what is refused."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli_helpers import COMMAND, Done, Site, clean_env, is_one_line, tables
from rows import column, log_of, query
from wpbridge.errors import Contention
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue


def added(site: Site, *arguments: str, **more: Any) -> dict[str, Any]:
    """The action that an enqueue made, as get tells it."""
    done = site("enqueue", *arguments, "--porcelain", **more)
    assert (done.code, done.err) == (0, ""), done
    assert re.fullmatch(r"\d+\n", done.out)
    found = json.loads(site.ok("get", done.out.strip(), "--format", "json"))
    assert isinstance(found, dict)
    return found


def due_in(action: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(action["scheduled"]) - datetime.now(UTC)


def nearly(span: timedelta, wanted: timedelta) -> bool:
    return abs(span - wanted) < timedelta(seconds=60)


# One, with every option


def test_without_options_it_is_async_and_due_at_once(site: Site) -> None:
    done = site("enqueue", "send_mail")
    assert re.fullmatch(r"action 1: send_mail, due \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", done.out)
    action = json.loads(site.ok("get", "1", "--format", "json"))
    assert nearly(due_in(action), timedelta(0))
    assert (action["kind"], action["args"], action["group"], action["priority"]) == (
        "async",
        [],
        "",
        10,
    )
    assert log_of(site.store, 1) == ["action created"]


def test_args_group_and_priority(site: Site) -> None:
    action = added(
        site, "h", "--args", '{"order": 17, "why": "é\\n"}', "--group", "mail", "--priority", "0"
    )
    assert (action["args"], action["group"], action["priority"]) == (
        {"order": 17, "why": "é\n"},
        "mail",
        0,
    )
    assert column(site.store, "args", action["id"]) == '{"order":17,"why":"\\u00e9\\n"}'


@pytest.mark.parametrize(
    ("flags", "span"),
    [
        (["--in", "10m"], timedelta(minutes=10)),
        (["--in", "90"], timedelta(seconds=90)),
        (["--at", "+2h"], timedelta(hours=2)),
        (["--at", "-7d"], timedelta(days=-7)),
        (["--at", "now"], timedelta(0)),
    ],
)
def test_dates_from_now_on(lite: Site, flags: list[str], span: timedelta) -> None:
    action = added(lite, "h", *flags)
    assert action["kind"] == "single"
    assert nearly(due_in(action), span)


@pytest.mark.parametrize(
    ("flags", "date"),
    [
        (["--at", "2026-12-01T09:00Z"], "2026-12-01T09:00:00Z"),
        (["--at", "2026-12-01T09:00"], "2026-12-01T09:00:00Z"),
        (["--at", "2026-12-01"], "2026-12-01T00:00:00Z"),
        (["--at", "2026-12-01 09:00:30+02:00"], "2026-12-01T07:00:30Z"),
        (["--at", "@1796000000"], "2026-11-30T00:53:20Z"),
        (["--at", "1796000000"], "2026-11-30T00:53:20Z"),
        (["--at", "2026-12-01T09:00", "--tz", "Europe/Rome"], "2026-12-01T08:00:00Z"),
        (["--at", "2026-12-01T09:00Z", "--tz", "Europe/Rome"], "2026-12-01T09:00:00Z"),
    ],
)
def test_dates(lite: Site, flags: list[str], date: str) -> None:
    assert added(lite, "h", *flags)["scheduled"] == date


def test_an_interval_repeats(site: Site) -> None:
    action = added(site, "h", "--at", "2026-12-01T09:00Z", "--interval", "1h")
    assert (action["kind"], action["recurrence"]) == ("interval", "3600 s")
    assert action["scheduled"] == action["first"] == "2026-12-01T09:00:00Z"
    assert nearly(due_in(added(site, "h", "--interval", "60", "--in", "5m")), timedelta(minutes=5))
    assert added(site, "h", "--interval", "0")["kind"] == "single"


def test_a_cron_in_utc_and_in_a_zone(site: Site) -> None:
    plain = added(site, "h", "--cron", "0 3 * * *")
    assert (plain["kind"], plain["recurrence"], plain["tz"]) == ("cron", "0 3 * * *", None)
    assert plain["scheduled"].endswith("T03:00:00Z")
    for hook, start, wanted in (("winter", "2027-01-10", "02"), ("summer", "2027-07-10", "01")):
        zoned = added(site, hook, "--cron", "0 3 * * *", "--tz", "Europe/Rome", "--at", start)
        assert zoned["tz"] == "Europe/Rome"
        assert zoned["scheduled"] == f"{start}T{wanted}:00:00Z"
        local = datetime.fromisoformat(zoned["scheduled"]).astimezone(ZoneInfo("Europe/Rome"))
        assert local.hour == 3


def test_args_from_a_file_and_from_standard_input(lite: Site) -> None:
    (lite.folder / "plain.json").write_text('["é"]', encoding="utf-8")
    (lite.folder / "bom.json").write_text('{"a": 1}\r\n', encoding="utf-8-sig")
    assert added(lite, "h", "--args", "@plain.json")["args"] == ["é"]
    assert added(lite, "h", "--args", "@bom.json")["args"] == {"a": 1}
    assert added(lite, "h", "--args", "-", input='["é"]\n')["args"] == ["é"]
    assert added(lite, "h", "--args", "-", input=b'\xef\xbb\xbf["x"]\r\n')["args"] == ["x"]
    assert lite.process("enqueue", "h", "--args", "-", input='["é"]').code == 0


def test_long_args_and_names_go_to_the_limit(site: Site) -> None:
    args = json.dumps(["x" * 7996])
    action = added(site, "h" * 191, "--args", args, "--group", "é" * 255)
    assert len(json.dumps(action["args"], separators=(",", ":"))) == 8000
    assert (action["hook"], action["group"]) == ("h" * 191, "é" * 255)


# Dry runs, uniqueness, keys, waiting


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--unique",),
        ("--key", "k"),
        ("--after", "1"),
        ("--cron", "0 3 * * *", "--tz", "Asia/Tokyo"),
        ("--group", "new"),
        ("--porcelain",),
        ("--interval", "60"),
    ],
    ids=" ".join,
)
def test_a_dry_run_writes_nothing(site: Site, flags: tuple[str, ...]) -> None:
    added(site, "other")
    before = tables(site.store)
    out = site.ok("enqueue", "h", "--args", "[1]", "--dry-run", *flags)
    assert out.startswith("would add 1 action: h [1], due ")
    assert tables(site.store) == before


def test_a_unique_action_is_added_once(site: Site) -> None:
    action = added(site, "h", "--unique", "--group", "g")
    before = tables(site.store)
    again = site("enqueue", "h", "--unique", "--group", "g")
    assert (again.code, again.out) == (0, "")
    assert again.err == f"not added: the same action, {action['id']}, has not ended yet\n"
    assert site("enqueue", "h", "--unique", "--group", "g", "--porcelain").out == ""
    assert site.ok("enqueue", "h", "--unique", "--group", "g", "--dry-run") == (
        f"would add nothing: the same action, {action['id']}, is there already\n"
    )
    assert tables(site.store) == before
    assert added(site, "h", "--unique", "--group", "other")["id"] != action["id"]
    assert added(site, "h", "--group", "g")["id"] != action["id"]


def test_what_is_unique_can_be_told(site: Site) -> None:
    added(site, "h", "--args", "[1]", "--unique", "--unique-by", "args")
    assert added(site, "h", "--args", "[2]", "--unique", "--unique-by", "args")
    assert site("enqueue", "h", "--args", "[3]", "--unique", "--unique-by", "group").out == ""
    (site.folder / "wpbridge.toml").write_text('[site]\nunique_by = "args"\n', encoding="utf-8")
    assert added(site, "h", "--args", "[3]", "--unique")


def test_a_key_is_used_once_and_says_so(site: Site) -> None:
    first = site("enqueue", "h", "--key", "ship-17")
    assert first.err == ""
    before = tables(site.store)
    again = site("enqueue", "h", "--key", "ship-17", "--args", "[2]")
    assert again.out == first.out
    assert again.err == "not added: that action was made with this key before\n"
    assert site("enqueue", "h", "--key", "ship-17", "--porcelain").out == "1\n"
    assert site.ok("enqueue", "h", "--key", "ship-17", "--dry-run") == (
        "would add nothing: the same action, 1, is there already\n"
    )
    assert tables(site.store) == before


def test_an_action_waits_for_others(site: Site) -> None:
    added(site, "first")
    added(site, "second")
    done = site("enqueue", "third", "--after", "1", "--after", "2", "--after-failed", "cancel")
    assert done.out == "action 3: third, due when what it waits for has ended\n"
    action = json.loads(site.ok("get", "3", "--format", "json"))
    assert (action["scheduled"], action["waits_for"]) == (None, [1, 2])
    assert "waits_for\t[1,2]" in site.ok("get", "3")


# What is refused


def refuses(site: Site, *arguments: str, code: int = 2, **more: Any) -> str:
    """Nothing is written, and one line says why."""
    before = tables(site.store)
    done: Done = site(*arguments, **more)
    assert is_one_line(done, code), done
    assert tables(site.store) == before
    return done.err


BAD: dict[str, tuple[list[str], str | None]] = {
    "args that are no JSON": (["--args", "[1"], "args are no JSON"),
    "args that are empty": (["--args", ""], "args are no JSON"),
    "a number": (["--args", "17"], "a JSON list or object, not 17"),
    "a text": (["--args", '"x"'], "a JSON list or object"),
    "null": (["--args", "null"], "a JSON list or object"),
    "NaN": (["--args", "[NaN]"], "args"),
    "half a surrogate pair": (["--args", '["\\ud800"]'], "surrogate"),
    "args over 8000 bytes": (["--args", json.dumps(["x" * 7997])], "8000"),
    "letters over 8000 bytes": (["--args", json.dumps(["é" * 1400], ensure_ascii=False)], "8000"),
    "deep args": (["--args", "[" * 600 + "]" * 600], "nested deeper"),
    "very deep args": (["--args", "[" * 200_000], "args are no JSON"),
    "a file that is not there": (["--args", "@none.json"], "No such file"),
    "a folder": (["--args", "@."], "directory"),
    "a file that is not UTF-8": (["--args", "@latin.json"], "not UTF-8"),
    "cron": (["--cron", "99 * * * *"], "cron"),
    "cron without fields": (["--cron", ""], "cron"),
    "cron in words": (["--cron", "every day"], "cron"),
    "cron that never comes": (["--cron", "0 0 30 2 *"], "cron"),
    "zone": (["--cron", "0 3 * * *", "--tz", "Mars/Olympus"], "Mars/Olympus"),
    "zone of a path": (["--cron", "0 3 * * *", "--tz", "../../etc/passwd"], "zone"),
    "zone of a date": (["--at", "2026-12-01", "--tz", "Mars/Olympus"], "--tz"),
    "date in words": (["--at", "tomorrow"], "--at"),
    "date that is none": (["--at", "2026-02-30"], "--at"),
    "date before 1970": (["--at", "1969-12-31"], "--at"),
    "date after 9999": (["--at", "+9000w"], None),
    "far date": (["--at", "+999999999d"], "--at"),
    "no date": (["--at", ""], "--at"),
    "span": (["--in", "soon"], "--in"),
    "far span": (["--in", "999999999d"], "--in"),
    "span below 0": (["--in", "-5"], "--in"),
    "interval below 0": (["--interval", "-5"], "interval"),
    "half a second": (["--interval", "1.5"], "whole seconds"),
    "interval": (["--interval", "often"], "interval"),
    "priority below 0": (["--priority", "-1"], "0 to 255"),
    "priority over 255": (["--priority", "256"], "0 to 255"),
    "priority in words": (["--priority", "abc"], "'abc' is not a valid integer"),
    "long group": (["--group", "g" * 256], "0 to 255 characters"),
    "long key": (["--key", "k" * 1001], "0 to 1000 characters"),
    "after a word": (["--after", "first"], "'first' is no action id"),
    "after 0": (["--after", "0"], "'0' is no action id"),
    "after a huge id": (["--after", "9" * 30], "is no action id"),
    "after a very long id": (["--after", "9" * 5000], "is no action id"),
    "at and in": (["--at", "now", "--in", "5m"], "--at and --in"),
    "interval and cron": (["--interval", "60", "--cron", "0 3 * * *"], "interval and cron"),
    "tz alone": (["--tz", "Europe/Rome"], "--tz: it is for --cron or --at"),
    "tz and in": (["--tz", "Europe/Rome", "--in", "5m"], "--tz"),
    "after-failed alone": (["--after-failed", "run"], "--after-failed"),
    "after-failed": (["--after", "1", "--after-failed", "explode"], "explode"),
    "unique-by": (["--unique", "--unique-by", "hook"], "'hook'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_one_line_and_nothing_is_written(lite: Site, name: str) -> None:
    (lite.folder / "latin.json").write_bytes(b'["\xe9"]')
    flags, words = BAD[name]
    if words is None:
        assert added(lite, "h", *flags)["scheduled"] > "2199"
        return
    assert words in refuses(lite, "enqueue", "h", *flags)
    assert words in refuses(lite, "enqueue", "h", "--dry-run", *flags)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([""], "hook: 1 to 191 characters"),
        (["h" * 192], "hook: 1 to 191 characters, not 192"),
        ([], "name a hook, or give --jsonl"),
        (["h", "g"], "extra argument"),
        (["h", "--jsonl", "-"], "--jsonl"),
        (["--jsonl", "-", "--args", "[]"], "--jsonl"),
        (["--jsonl", "-", "--unique"], "--jsonl"),
        (["--jsonl", "-", "--priority", "0"], "--jsonl"),
        (["--jsonl", "-", "--after", "1"], "--jsonl"),
        (["--jsonl", "none.jsonl"], "No such file"),
        (["--jsonl", "."], "directory"),
    ],
)
def test_hooks_and_sources(lite: Site, arguments: list[str], words: str) -> None:
    assert words in refuses(lite, "enqueue", *arguments)


def test_ids_that_are_not_there(site: Site) -> None:
    assert "there is no action 777" in refuses(site, "enqueue", "h", "--after", "777", code=1)
    assert "777" in refuses(site, "enqueue", "h", "--after", "777", "--dry-run", code=1)


def test_standard_input_that_is_not_utf_8(lite: Site) -> None:
    done = subprocess.run(
        [*COMMAND, "enqueue", "h", "--args", "-"],
        cwd=lite.folder,
        input=b'["\xe9"]',
        env=clean_env(lite.folder, {**lite.env, "PYTHONIOENCODING": "utf-8"}),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b"wpbridge: args: -: is not UTF-8\n"


# Many


def lines(count: int, **more: Any) -> str:
    return "".join(json.dumps({"hook": "h", "args": [n], **more}) + "\n" for n in range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 11])
def test_lines_are_added_in_batches_of_bounded_bytes(
    site: Site, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("wpbridge.cli.enqueue_lines.WINDOW_BYTES", 3 * len(lines(1)))
    (site.folder / "some.jsonl").write_text(lines(count), encoding="utf-8")
    assert site.ok("enqueue", "--jsonl", "some.jsonl").startswith(f"added {count} action")
    rows = query(site.store, "SELECT args FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in rows] == [f"[{n}]" for n in range(count)]


def test_many_from_a_file_keep_their_order(site: Site) -> None:
    (site.folder / "many.jsonl").write_text(lines(2500, group="bulk"), encoding="utf-8")
    assert site.ok("enqueue", "--jsonl", "many.jsonl") == "added 2,500 actions\n"
    rows = query(site.store, "SELECT args FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in rows] == [f"[{n}]" for n in range(2500)]
    logs = query(site.store, "SELECT COUNT(*) FROM wp_actionscheduler_logs")
    assert logs[0][0] == 2500


def test_many_print_their_ids(site: Site) -> None:
    out = site.ok("enqueue", "--jsonl", "-", "--porcelain", input=lines(3))
    assert out == "1\n2\n3\n"


def test_a_dry_run_of_many_writes_nothing(site: Site) -> None:
    before = tables(site.store)
    told = lines(2, unique=True, key="k", tz="Asia/Tokyo", cron="0 3 * * *")
    assert site.ok("enqueue", "--jsonl", "-", "--dry-run", input=told) == "would add 2 actions\n"
    assert tables(site.store) == before


@pytest.mark.parametrize(
    ("told", "count"),
    [
        ("", 0),
        ("\n \r\n\t\n", 0),
        ('{"hook": "h"}', 1),
        ('{"hook": "h"}\r\n\r\n{"hook": "h"}\r\n', 2),
        ('\ufeff{"hook": "h"}\n', 1),
        ('{"hook": "h", "args": null, "at": null, "group": null, "tz": null, "key": null}\n', 1),
        ('{"hook": "h", "args": {"a": [1, 2.5, null, "\\u00e9"]}, "priority": 0}\n', 1),
        (
            '{"hook": "h", "in": "5m"}\n{"hook": "h", "in": 60}\n{"hook": "h", "at": 1796000000}\n',
            3,
        ),
        ('{"hook": "h", "interval": 60, "after": 1}\n{"hook": "h", "after": [1, 1]}\n', 2),
    ],
)
def test_lines_as_programs_write_them(lite: Site, told: str, count: int) -> None:
    added(lite, "first")
    words = f"added {count} action{'' if count == 1 else 's'}\n"
    assert lite.ok("enqueue", "--jsonl", "-", input=told.encode()) == words
    assert lite.store.counts() == {"pending": count + 1}


def test_lines_mean_what_flags_mean(site: Site) -> None:
    added(site, "first")
    told = {
        "hook": "h",
        "args": {"a": 1},
        "at": "2026-12-01T09:00Z",
        "cron": "0 3 * * *",
        "tz": "Europe/Rome",
        "group": "g",
        "priority": 3,
        "unique": True,
        "key": "k",
        "after": [1],
        "after_failed": "run",
    }
    site.ok("enqueue", "--jsonl", "-", input=json.dumps(told))
    action = json.loads(site.ok("get", "2", "--format", "json"))
    assert action["args"] == {"a": 1}
    assert (action["group"], action["priority"], action["tz"]) == ("g", 3, "Europe/Rome")
    assert (action["recurrence"], action["waits_for"]) == ("0 3 * * *", [1])


LINES: dict[str, str | bytes] = {
    "no JSON": "{hook: h}",
    "half a line": '{"hook": "h"',
    "a list": '["h"]',
    "a text": '"h"',
    "not UTF-8": b'{"hook": "\xe9"}',
    "another encoding": '{"hook": "h"}'.encode("utf-16"),
    "no hook": '{"args": []}',
    "no hook at all": '{"hook": null}',
    "a hook that is a number": '{"hook": 5}',
    "an empty hook": '{"hook": ""}',
    "an unknown key": '{"hook": "h", "arg": [1]}',
    "the flag's spelling": '{"hook": "h", "after-failed": "run"}',
    "scalar args": '{"hook": "h", "args": 17}',
    "args as text": '{"hook": "h", "args": "[17]"}',
    "long args": json.dumps({"hook": "h", "args": ["x" * 8000]}),
    "a long hook": json.dumps({"hook": "h" * 192}),
    "a long group": json.dumps({"hook": "h", "group": "g" * 256}),
    "a date": '{"hook": "h", "at": "tomorrow"}',
    "a date that is true": '{"hook": "h", "at": true}',
    "an endless date": '{"hook": "h", "at": Infinity}',
    "a far span": '{"hook": "h", "in": "999999999d"}',
    "a span that is true": '{"hook": "h", "in": true}',
    "at and in": '{"hook": "h", "in": "5m", "at": "now"}',
    "a cron": '{"hook": "h", "cron": "every day"}',
    "a cron that is a number": '{"hook": "h", "cron": 5}',
    "a zone": '{"hook": "h", "cron": "0 3 * * *", "tz": "Mars/Olympus"}',
    "a zone alone": '{"hook": "h", "tz": "Europe/Rome"}',
    "an interval": '{"hook": "h", "interval": [1]}',
    "interval and cron": '{"hook": "h", "interval": 60, "cron": "0 3 * * *"}',
    "a priority": '{"hook": "h", "priority": 256}',
    "a priority as text": '{"hook": "h", "priority": "5"}',
    "unique as text": '{"hook": "h", "unique": "false"}',
    "a key that is a number": '{"hook": "h", "key": 17}',
    "after a text": '{"hook": "h", "after": "1"}',
    "after true": '{"hook": "h", "after": [true]}',
    "after 0": '{"hook": "h", "after": 0}',
    "after a huge id": '{"hook": "h", "after": [999999999999999999999999]}',
    "after_failed": '{"hook": "h", "after": [1], "after_failed": "explode"}',
    "after_failed alone": '{"hook": "h", "after_failed": "run"}',
    "a NUL": '{"hook": "a\\u0000b"}',
    "deep": '{"hook": ' + "[" * 200_000,
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_named_and_nothing_is_written(lite: Site, name: str) -> None:
    bad = LINES[name]
    told = b"\n".join(
        [lines(1200).encode(), b'{"hook": "h"}', bad if isinstance(bad, bytes) else bad.encode()]
    )
    words = refuses(lite, "enqueue", "--jsonl", "-", input=told + b"\n" + lines(3).encode())
    assert words.startswith("wpbridge: line 1203: "), words
    assert words.endswith("; nothing was written\n"), words
    assert len(words) < 400


def test_a_bad_line_of_a_file_and_of_a_process(site: Site) -> None:
    told = '{"hook": "h"}\n\n{"hook": "h", "unique": 1}\n{"hook": "h"}\n'
    (site.folder / "bad.jsonl").write_text(told, encoding="utf-8")
    for source, stdin in (("bad.jsonl", None), ("@bad.jsonl", None), ("-", told)):
        assert "line 3: unique" in refuses(site, "enqueue", "--jsonl", source, input=stdin)
    done = site.process("enqueue", "--jsonl", "-", input=told)
    assert is_one_line(done, 2)
    assert site.store.counts() == {}


def test_a_line_that_waits_for_nobody_is_named(site: Site) -> None:
    told = '{"hook": "h"}\n{"hook": "h", "after": 777}\n'
    words = refuses(site, "enqueue", "--jsonl", "-", input=told, code=1)
    assert words == "wpbridge: line 2: there is no action 777; nothing was written\n"


def test_unique_lines_are_counted(site: Site) -> None:
    done = site("enqueue", "--jsonl", "-", input=lines(3, unique=True))
    assert (done.code, done.out) == (0, "added 1 action\n")
    assert done.err == "2 lines left out: their like is pending or running\n"
    assert site("enqueue", "--jsonl", "-", "--porcelain", input=lines(2, unique=True)).out == ""


def test_keyed_lines_are_counted_once(site: Site) -> None:
    site.ok("enqueue", "h", "--key", "old")
    told = "".join(json.dumps({"hook": "h", "key": key}) + "\n" for key in ("new", "old", "new"))
    dry = site.ok("enqueue", "--jsonl", "-", "--dry-run", input=told)
    assert dry == "would add 3 actions\n"
    done = site("enqueue", "--jsonl", "-", input=told)
    assert (done.code, done.out) == (0, "added 1 action\n")
    assert done.err == "2 lines left out: their key was used before\n"
    assert site("enqueue", "--jsonl", "-", "--porcelain", input=told).out == "2\n1\n2\n"
    assert site.store.counts() == {"pending": 2}


def test_what_a_pipe_of_the_shell_gives_is_read_too(lite: Site) -> None:
    """``<(…)`` can be read only once."""
    script = f'{COMMAND[0]} -m wpbridge enqueue --jsonl <(printf \'{{"hook": "h"}}\\n%.0s\' 1 2 3)'
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=lite.folder,
        env=clean_env(lite.folder, lite.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("added 3 actions\n", "")


def test_standard_input_is_read_from_where_it_stands(lite: Site) -> None:
    (lite.folder / "some.txt").write_text('not for us\n{"hook": "h"}\n', encoding="utf-8")
    run = f"{COMMAND[0]} -m wpbridge enqueue --jsonl -"
    skip = f"{COMMAND[0]} -c 'import os; os.read(0, 11)'"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{{ {skip}; {run}; }} < some.txt"],
        cwd=lite.folder,
        env=clean_env(lite.folder, lite.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("added 1 action\n", "")


def test_a_failure_in_the_middle_tells_what_was_written(
    lite: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Queue.enqueue_many
    calls: list[int] = []

    def fails_later(self: Queue, new: list[Enqueue], **more: Any) -> Any:
        calls.append(len(new))
        if len(calls) > 1:
            raise Contention("others hold the locks")
        return add(self, new, **more)

    monkeypatch.setattr(Queue, "enqueue_many", fails_later)
    done = lite("enqueue", "--jsonl", "-", input=lines(1500))
    assert is_one_line(done, 75)
    assert done.err == "wpbridge: others hold the locks; 1,000 actions had been added\n"


# Test data


def test_generate_adds_single_actions_apart(site: Site) -> None:
    out = site.ok(
        "generate",
        "test_hook",
        "2026-12-01",
        "--count",
        "1500",
        "--interval",
        "1m",
        "--args",
        '{"a": 1}',
        "--group",
        "test",
        "--priority",
        "3",
    )
    assert out == "added 1,500 actions\n"
    first, last = (json.loads(site.ok("get", i, "--format", "json")) for i in ("1", "1500"))
    assert (first["scheduled"], last["scheduled"]) == (
        "2026-12-01T00:00:00Z",
        "2026-12-02T00:59:00Z",
    )
    assert (last["kind"], last["group"], last["priority"]) == ("single", "test", 3)
    assert last["args"] == {"a": 1}


def test_generate_in_a_dry_run_writes_nothing(site: Site) -> None:
    before = tables(site.store)
    assert site.ok("generate", "h", "now", "--count", "5", "--dry-run") == "would add 5 actions\n"
    assert tables(site.store) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["h"], "Missing argument 'START'"),
        (["h", "tomorrow"], "START"),
        (["h", "now", "--count", "0"], "--count"),
        (["h", "now", "--count", "99999999"], "--count"),
        (["h", "now", "--interval", "-1"], "--interval"),
        (["h", "now", "--interval", "999999d", "--count", "9"], "after the year 9999"),
        (["h", "now", "--interval", "999999999d", "--count", "9999999"], "after the year 9999"),
        (["h", "now", "--args", "17"], "args"),
        (["h", "now", "--priority", "256"], "0 to 255"),
        (["", "now"], "hook"),
    ],
)
def test_generate_refuses(lite: Site, arguments: list[str], words: str) -> None:
    assert words in refuses(lite, "generate", *arguments)
    assert words in refuses(lite, "generate", *arguments, "--dry-run")
