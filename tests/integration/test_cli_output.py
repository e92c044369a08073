"""Every format of every list: data on stdout, words on stderr, names that steer nothing."""

import csv
import io
import json
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
import yaml

import warm
from cli_helpers import COMMAND, Site, call, clean_env, is_one_line, on_terminal, sqlite_site
from factories import insert, make_new
from rows import change
from wpbridge.cli import terminal
from wpbridge.cli.main import cli
from wpbridge.clock import SystemClock

FIELDS = [
    "id",
    "hook",
    "status",
    "args",
    "group",
    "priority",
    "attempts",
    "scheduled",
    "last_attempt",
    "claim_id",
    "kind",
    "recurrence",
    "tz",
    "first",
]
SHOWN = ["id", "hook", "status", "scheduled", "group", "recurrence", "attempts", "args"]
LISTS = {
    "list": FIELDS,
    "get 1": [*FIELDS, "waits_for", "progress", "progress_text", "result", "log"],
    "logs 1": ["id", "action_id", "date", "message"],
    "stats": ["name", "pending", "in-progress", "complete", "failed", "canceled", "other", "total"],
    "failures": ["fingerprint", "count", "hooks", "first", "last", "sample", "ids"],
    "claims": ["id", "state", "holder", "pending", "running", "last_sign", "created", "has_row"],
    "pause": ["kind", "name", "until", "reason", "since"],
    "hooks": [
        "hook",
        "group",
        "to",
        "why",
        "pending",
        "due",
        "running",
        "held",
        "next_at",
        "callback",
    ],
}
FORMATS = ("table", "text", "json", "jsonl", "csv", "yaml", "ids", "count")
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "a\tb\nc\r\nd",
    "[bold]markup[/bold]",
    'quote"comma,semi;',
    "=cmd|' /C calc'!A0",
    "-dash",
    "+plus",
    "@at",
    "\N{PILE OF POO} naïve \u4e2d\u6587",
    "\u202ereversed\x9b31m",
    "null",
    "x: y",
]
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_site(tmp_path) as it:
        yield it


@pytest.fixture
def filled(site: Site) -> Site:
    """A pending action, a failed one with its reason, a claimed one, a pause."""
    now = SystemClock().now()
    ids = insert(
        site.store,
        make_new("send", args=({"a": [1, 1.5, None, True, "é"]},), group="mail", now=now),
        make_new("send", interval=3600, now=now),
        make_new("other", now=now),
        now=now,
    )
    change(
        site.store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', attempts = 1,"
        " last_attempt_gmt = '2026-11-01 10:00:00' WHERE action_id = :i",
        i=ids[1],
    )
    change(
        site.store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:i, 'action failed via WP Cron: no mail for order 17', '2026-11-01 10:00:00',"
        " '2026-11-01 10:00:00')",
        i=ids[1],
    )
    change(
        site.store,
        "UPDATE wp_actionscheduler_actions SET claim_id = 7 WHERE action_id = :i",
        i=ids[2],
    )
    site.ok("pause", "--group", "bulk", "--for", "2h", "--reason", "why not")
    return site


# Formats


@pytest.mark.parametrize("told", LISTS)
def test_every_list_prints_every_format(filled: Site, told: str) -> None:
    outs = {name: filled.ok(*told.split(), "--format", name) for name in FORMATS}
    rows = json.loads(outs["json"])
    lines = [json.loads(line) for line in outs["jsonl"].splitlines()]
    if told.startswith("get"):
        assert lines == [rows]
        assert yaml.safe_load(outs["yaml"]) == rows
        rows = [rows]
    else:
        assert lines == rows
        assert yaml.safe_load(outs["yaml"]) == rows
        assert outs["text"] == outs["table"] == filled.ok(*told.split())
        assert [len(line.split("\t")) for line in outs["table"].splitlines()] == [
            len(outs["table"].splitlines()[0].split("\t"))
        ] * (len(rows) + 1)
    assert rows
    assert list(rows[0])[: len(LISTS[told])] == LISTS[told]
    assert outs["count"] == f"{len(rows)}\n"
    assert outs["ids"] == " ".join(str(row[LISTS[told][0]]) for row in rows) + "\n"
    told_csv = list(csv.reader(io.StringIO(outs["csv"])))
    assert len(told_csv) == len(rows) + 1
    assert set(told_csv[0]) <= set(rows[0])


@pytest.mark.parametrize("told", LISTS)
def test_an_empty_queue_is_an_empty_list(site: Site, told: str) -> None:
    if told[-1].isdigit():
        assert is_one_line(site(*told.split()), 1)
        return
    assert site.ok(*told.split(), "--format", "json") == "[]\n"
    assert site.ok(*told.split(), "--format", "jsonl") == ""
    assert site.ok(*told.split(), "--format", "count") == "0\n"
    assert site.ok(*told.split(), "--format", "ids") == "\n"
    assert yaml.safe_load(site.ok(*told.split(), "--format", "yaml")) == []
    assert len(site.ok(*told.split(), "--format", "csv").splitlines()) == 1


def test_json_keeps_types_and_dates_are_iso_in_utc(filled: Site) -> None:
    first, second, third = json.loads(filled.ok("list", "--format", "json", "--order-by", "id"))
    assert first["args"] == [{"a": [1, 1.5, None, True, "é"]}]
    assert (first["id"], first["priority"], first["attempts"], first["claim_id"]) == (1, 10, 0, 0)
    assert (first["group"], second["group"], first["tz"]) == ("mail", "", None)
    assert (first["kind"], first["recurrence"], first["first"]) == ("single", None, None)
    assert (second["kind"], second["recurrence"]) == ("interval", "3600 s")
    assert second["last_attempt"] == "2026-11-01T10:00:00Z"
    assert first["last_attempt"] is None
    for date in (first["scheduled"], second["first"], third["scheduled"]):
        assert ISO.fullmatch(date)
    (failure,) = json.loads(filled.ok("failures", "--format", "json"))
    assert failure["hooks"] == ["send"]
    assert failure["ids"] == [2]
    assert failure["sample"] == "action failed via WP Cron: no mail for order 17"
    assert "17" not in failure["fingerprint"]
    assert failure["first"] == failure["last"] == "2026-11-01T10:00:00Z"
    (claim,) = json.loads(filled.ok("claims", "--format", "json"))
    assert claim["has_row"] is False
    (pause,) = json.loads(filled.ok("pause", "--format", "json"))
    assert ISO.fullmatch(pause["until"])
    assert ISO.fullmatch(pause["since"])


def test_texts_of_the_other_formats(filled: Site) -> None:
    head, *rows = filled.ok("list", "--order-by", "id").splitlines()
    assert head.split("\t") == SHOWN
    cells = rows[0].split("\t")
    assert cells[:3] == ["1", "send", "pending"]
    assert ISO.fullmatch(cells[3])
    assert cells[4:] == ["mail", "", "0", '[{"a":[1,1.5,null,true,"é"]}]']
    told = list(csv.DictReader(io.StringIO(filled.ok("claims", "--format", "csv"))))
    assert told[0]["has_row"] == "false"
    assert told[0]["created"] == ""


# Fields


@pytest.mark.parametrize("told", LISTS)
def test_fields_choose_and_order_columns(filled: Site, told: str) -> None:
    first, second = LISTS[told][:2]
    chosen = f"{second}, {first}"
    rows = json.loads(filled.ok(*told.split(), "--format", "json", "--fields", chosen))
    rows = rows if isinstance(rows, list) else [rows]
    assert {tuple(row) for row in rows} == {(second, first)}
    head = filled.ok(*told.split(), "--format", "csv", "--fields", chosen).splitlines()[0]
    assert head == f"{second},{first}"
    only = filled.ok(*told.split(), "--field", first).splitlines()
    assert only == [str(row[first]) for row in rows]


@pytest.mark.parametrize("told", LISTS)
def test_an_unknown_field_is_usage(filled: Site, told: str) -> None:
    first = LISTS[told][0]
    for style in FORMATS:
        for flags in (
            ("--fields", f"{first},nope"),
            ("--field", "nope"),
            ("--field", f"{first},nope"),
        ):
            done = filled(*told.split(), "--format", style, *flags)
            assert is_one_line(done, 2), done
            assert "nope" in done.err


@pytest.mark.parametrize("told", LISTS)
def test_fields_and_field_contradict(filled: Site, told: str) -> None:
    name = LISTS[told][0]
    done = filled(*told.split(), "--fields", name, "--field", LISTS[told][1])
    assert is_one_line(done, 2)
    assert "--field" in done.err


# Names that mean harm


@pytest.fixture
def hostile(site: Site) -> Site:
    now = SystemClock().now()
    insert(
        site.store,
        *(make_new(name, args=(name,), group=name, now=now) for name in HOSTILE),
        now=now,
    )
    return site


def test_formats_for_programs_keep_every_name_as_it_is(hostile: Site) -> None:
    hostile.ok("list", "--format", "table")
    rows = json.loads(hostile.ok("list", "--format", "json", "--order-by", "id"))
    assert [(row["hook"], row["group"], row["args"]) for row in rows] == [
        (name, name, [name]) for name in HOSTILE
    ]
    lines = hostile.ok("list", "--format", "jsonl", "--order-by", "id").splitlines()
    assert [json.loads(line)["hook"] for line in lines if line] == HOSTILE
    assert [
        row["hook"]
        for row in yaml.safe_load(hostile.ok("list", "--format", "yaml", "--order-by", "id"))
    ] == HOSTILE


def test_csv_quotes_and_defuses_formulas(hostile: Site) -> None:
    out = hostile.process("list", "--format", "csv", "--order-by", "id").out
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    harmless = [f"'{name}" if name[0] in "=+-@" else name for name in HOSTILE]
    told = [row["hook"].replace("\r\n", "\n") for row in rows]
    assert told == [name.replace("\r\n", "\n") for name in harmless]
    assert [row["id"] for row in rows] == [str(n) for n in range(1, len(HOSTILE) + 1)]


def test_a_table_has_one_line_for_each_and_no_control_characters(hostile: Site) -> None:
    out = hostile.ok("list", "--order-by", "id")
    head, *rows = out.splitlines()
    assert len(rows) == len(HOSTILE)
    assert {len(row.split("\t")) for row in (head, *rows)} == {len(SHOWN)}
    assert not CONTROLS.search(out.replace("\t", ""))
    assert "\\x1b[31mred\\x1b[0m" in rows[0]
    assert "[bold]markup[/bold]" in rows[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--limit", "0"),
        ("list", "--format", "csv"),
        ("list", "--field", "hook"),
        ("list", "--format", "json"),
        ("list", "--format", "yaml"),
        ("get", "1"),
        ("get", "10"),
        ("get", "10", "--format", "json"),
        ("stats", "--by", "hook"),
        ("stats", "--by", "group", "--format", "ids"),
        ("hooks",),
        ("enqueue", HOSTILE[0], "--group", HOSTILE[9]),
        (
            "enqueue",
            HOSTILE[0],
            "--args",
            json.dumps([HOSTILE[9]], ensure_ascii=False),
            "--dry-run",
        ),
        ("cancel", HOSTILE[0] + "x"),
        ("pause", "--hook", HOSTILE[0], "--reason", HOSTILE[9]),
        ("resume", "--hook", HOSTILE[0]),
        ("list", "--fields", HOSTILE[0]),
        ("list", "--status", HOSTILE[0]),
        ("get", HOSTILE[0]),
        (HOSTILE[0],),
        ("list", "--" + HOSTILE[0]),
        ("list", "--limit", HOSTILE[9]),
    ],
    ids=lambda arguments: " ".join(arguments[:2]).encode("unicode_escape").decode(),
)
def test_no_name_steers_a_terminal(
    hostile: Site, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile.ok("pause", "--group", HOSTILE[0], "--hook", HOSTILE[0])
    monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    done = hostile(*arguments, env={"NO_COLOR": "1"})
    assert done.code in {0, 1, 2}
    assert done.out + done.err
    assert not CONTROLS.search(done.out + done.err), done


def test_no_name_steers_a_real_terminal(hostile: Site) -> None:
    for arguments in (["list"], ["list", "--format", "csv"], [HOSTILE[0]]):
        done = hostile.terminal(*arguments, env={"NO_COLOR": "1"})
        assert done.out
        assert not CONTROLS.search(done.out), done.out


# How much of it is shown


@pytest.fixture
def long(site: Site) -> Site:
    now = SystemClock().now()
    insert(
        site.store,
        *(make_new(f"h{n % 3}", args=(n,), due_in=-60.0 - n, now=now) for n in range(23)),
        now=now,
    )
    return site


@pytest.fixture
def mixed(site: Site) -> Site:
    """As many, but their dates have nothing to do with the order of their ids."""
    now = SystemClock().now()
    insert(
        site.store,
        *(make_new(f"h{n % 3}", due_in=-60.0 - n * 7 % 23, now=now) for n in range(23)),
        now=now,
    )
    return site


@pytest.mark.parametrize("style", [s for s in FORMATS if s != "count"])
def test_twenty_are_shown_and_the_total_is_told_beside(long: Site, style: str) -> None:
    done = long("list", "--format", style)
    assert (done.code, done.err) == (0, "showing 20 of 23; --limit 0 for all\n")
    assert "showing" not in done.out


def test_all_are_shown_with_limit_0(long: Site) -> None:
    assert len(long.ok("list", "--limit", "0").splitlines()) == 24
    assert long.ok("list", "--limit", "0", "--format", "ids", "--order-by", "id") == (
        " ".join(str(n) for n in range(1, 24)) + "\n"
    )
    assert long.ok("list", "--format", "count") == "23\n"
    assert long.ok("list", "--limit", "23", "--format", "count") == "23\n"


@pytest.mark.parametrize("name", ["--limit", "--per-page", "--per_page"])
@pytest.mark.parametrize("order", ["--order-by", "--orderby"])
def test_words_of_wp_cli_are_known(long: Site, name: str, order: str) -> None:
    done = long("list", name, "2", order, "action_id", "--order", "DESC", "--format", "ids")
    assert (done.out, done.err) == ("23 22\n", "showing 2 of 23; --limit 0 for all\n")


def test_pages(long: Site) -> None:
    flags = ("list", "--order-by", "id", "--format", "ids")
    assert long(*flags, "--limit", "3", "--offset", "4").out == "5 6 7\n"
    last = long(*flags, "--offset", "20")
    assert (last.out, last.err) == ("21 22 23\n", "showing 3 of 23; --limit 0 for all\n")
    assert long(*flags, "--limit", "0", "--offset", "21").out == "22 23\n"
    none = long(*flags, "--offset", "99")
    assert (none.out, none.err) == ("\n", "showing 0 of 23; --limit 0 for all\n")


@pytest.mark.parametrize(
    ("order", "first"),
    [("id", 1), ("date", 23), ("hook", 1), ("none", None), ("group", 1), ("modified", 1)],
)
def test_orders(long: Site, order: str, first: int | None) -> None:
    ids = long("list", "--order-by", order, "--format", "ids", "--limit", "0").out.split()
    assert len(ids) == 23
    if first is not None:
        assert ids[0] == str(first)
        back = long(
            "list", "--order-by", order, "--order", "desc", "--format", "ids", "--limit", "0"
        )
        assert back.out.split() == ids[::-1]


@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        ("", range(23, 3, -1)),
        ("--format text", range(23, 3, -1)),
        ("--format table --limit 3", [23, 22, 21]),
        ("--limit 3 --offset 2", [21, 20, 19]),
        ("--limit 3 --fields id,hook", [23, 22, 21]),
        ("--hook h1 --limit 2", [23, 20]),
        ("--limit 3 --order desc", [23, 22, 21]),
        ("--limit 3 --order asc", [1, 2, 3]),
        ("--limit 3 --order-by id", [1, 2, 3]),
        ("--limit 3 --order-by date", [14, 4, 17]),
        ("--limit 3 --order-by date --order desc", [1, 11, 21]),
        ("--limit 0", range(1, 24)),
        ("--limit 0 --offset 21", [22, 23]),
        ("--limit 0 --order desc", range(23, 0, -1)),
        ("--limit 3 --field id", [14, 4, 17]),
        ("--limit 3 --format csv --fields id", [14, 4, 17]),
        ("--limit 3 --format csv --fields id --order desc", [1, 11, 21]),
    ],
)
def test_a_table_shows_the_newest_unless_an_order_is_named(
    mixed: Site, flags: str, ids: Sequence[int]
) -> None:
    done = mixed("list", *flags.split())
    told = [line.split("\t")[0] for line in done.out.splitlines()]
    assert (done.code, [one for one in told if one != "id"]) == (0, [str(i) for i in ids])


# A process


def test_formats_may_come_from_the_environment_and_the_file(long: Site) -> None:
    assert long("list", env={"WPBRIDGE_FORMAT": "count"}).out == "23\n"
    (long.folder / "wpbridge.toml").write_text('[run]\nformat = "json"\n', encoding="utf-8")
    assert json.loads(long("list", "--limit", "1").out)[0]["id"] == 23
    told = json.loads(long("cancel", "1", "--dry-run").out)
    assert (told["dry_run"], told["ids"]) == (True, [1])


def test_a_reader_that_goes_away_is_no_error_to_speak_of(long: Site) -> None:
    for _ in range(6):
        now = SystemClock().now()
        insert(long.store, *(make_new("x" * 150, now=now) for _ in range(500)), now=now)
    command = [*COMMAND, "list", "--limit", "0", "--format", "csv", "--order-by", "id"]
    with warm.Popen(
        command,
        cwd=long.folder,
        env=clean_env(long.folder, long.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("id,hook")
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(timeout=300)


@pytest.mark.parametrize("style", ["table", "csv", "json"])
def test_a_full_disk_is_one_line(long: Site, style: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "list", "--format", style],
            cwd=long.folder,
            env=clean_env(long.folder, long.env),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("showing")]
    assert lines == ["wpbridge: No space left on device"]


def test_processes_without_standard_streams(long: Site) -> None:
    """As some supervisors start them."""
    run = f'{COMMAND[0]} -m wpbridge cancel --hook h0 <&-; echo "code $?"'
    for _ in range(8):
        now = SystemClock().now()
        insert(long.store, *(make_new("h0", now=now) for _ in range(3)), now=now)
    done = subprocess.run(
        ["/bin/sh", "-c", run],
        cwd=long.folder,
        env=clean_env(long.folder, long.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "code 2\n"
    assert done.stderr.startswith("wpbridge: cancel 32 actions: add --yes")
    gone = subprocess.run(
        ["/bin/sh", "-c", f"{COMMAND[0]} -m wpbridge list >&-"],
        cwd=long.folder,
        env=clean_env(long.folder, long.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in gone.stderr


def test_an_interrupt_is_quiet_and_has_its_code(site: Site) -> None:
    command = [*COMMAND, "enqueue", "h", "--args", "-"]
    with warm.Popen(
        command,
        cwd=site.folder,
        env=clean_env(site.folder, site.env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        wait_until_reading(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=300)
        assert process.stderr is not None
        assert process.returncode == 130
        assert process.stderr.read().strip() == ""
    assert site.store.counts() == {}


def wait_until_reading(pid: int) -> None:
    """Until it has nothing to do but to read; the test's own timeout bounds it."""
    while "pipe_read" not in Path(f"/proc/{pid}/wchan").read_text(encoding="ascii") and (
        "read" not in syscall_of(pid)
    ):
        pass


def syscall_of(pid: int) -> str:
    told = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()
    return "read" if told[:2] == ["0", "0x0"] else ""


# A terminal


def test_a_terminal_gets_a_table_with_colours(filled: Site) -> None:
    out = filled.terminal("list").out
    assert "\x1b[1mhook" in out
    assert re.search(r"\x1b\[31mfailed *\x1b\[0m", out)
    assert "\t" not in out


def test_no_color_means_no_escape_codes(filled: Site) -> None:
    for command in ("list", "get 1", "stats"):
        done = filled.terminal(*command.split(), env={"NO_COLOR": "1"})
        assert done.code == 0
        assert "\x1b" not in done.out
        assert "  " in done.out


def test_colours_are_a_setting_too(filled: Site) -> None:
    (filled.folder / "wpbridge.toml").write_text("[run]\ncolor = false\n", encoding="utf-8")
    assert "\x1b" not in filled.terminal("list").out
    for env in ({"WPBRIDGE_COLOR": "yes"}, {"WPBRIDGE_COLOR": "yes", "NO_COLOR": "1"}):
        assert re.search(r"\x1b\[31mfailed *\x1b\[0m", filled.terminal("list", env=env).out)


def test_a_pipe_gets_no_colours_even_where_they_are_forced(filled: Site) -> None:
    assert filled.process("list", env={"FORCE_COLOR": "1"}).out == filled.ok("list")


def test_dates_are_not_cut_on_a_narrow_terminal(filled: Site) -> None:
    now = SystemClock().now()
    insert(filled.store, make_new("a_long_hook_" * 10, args=("long " * 30,), now=now), now=now)
    out = filled.terminal("list", columns=100, env={"NO_COLOR": "1"}).out
    dates = [row["scheduled"] for row in json.loads(filled.ok("list", "--format", "json"))]
    assert all(date in out for date in dates)
    assert max(map(len, out.splitlines())) <= 100
    assert "  a_long_hook_" in out
    assert len(out.splitlines()) == 5


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_narrow_terminal_breaks_no_line(filled: Site, columns: int) -> None:
    now = SystemClock().now()
    hook = "woocommerce_deliver_webhook_async"
    insert(
        filled.store,
        make_new(
            hook,
            args=(
                12,
                "topic",
            ),
            group="shop",
            now=now,
        ),
        now=now,
    )
    out = filled.terminal("list", columns=columns, env={"NO_COLOR": "1"}).out
    assert max(map(len, out.splitlines())) <= columns
    for word in out.split():
        if word.startswith("woo"):
            assert word == hook or (word[-1] == "…" and hook.startswith(word[:-1]))
    assert ("scheduled  " in out.splitlines()[0]) == (columns == 80)


def test_a_bar_is_drawn_and_taken_away(site: Site) -> None:
    lines = "".join(f'{{"hook": "h", "args": [{n}]}}\n' for n in range(2500))
    (site.folder / "many.jsonl").write_text(lines, encoding="utf-8")
    done = site.terminal("enqueue", "--jsonl", "many.jsonl")
    assert done.code == 0, done.out
    assert "Traceback" not in done.out
    assert done.out.rstrip().endswith("added 2,500 actions")
    assert "2500/2500" in done.out
    made = site.terminal("generate", "g", "now", "--count", "1500")
    assert made.out.rstrip().endswith("added 1,500 actions")
    gone = site.terminal("clean", "--older-than", "0", "--yes")
    assert "deleted 0 complete" in gone.out
    assert gone.code == 0
    looked = site.terminal("clean", "--orphan-logs")
    assert "deleted 0 log rows" in looked.out


# Errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "'nonsense'. (wpbridge --help)"),
        (["list", "--nonsense"], "'--nonsense'"),
        (["list", "--limit", "-1"], "-1 is not in the range"),
        (["list", "--limit", "many"], "'many' is not a valid integer"),
        (["list", "--limit", "9" * 30], "is not in the range"),
        (["list", "--offset", "9" * 30], "is not in the range"),
        (["list", "--claim", "9" * 30], "is not in the range"),
        (["list", "--format", "xml"], "'xml' is not one of"),
        (["list", "--order-by", "size"], "'size' is not one of"),
        (["list", "extra"], "unexpected extra argument"),
        (["list", "--hook"], "requires an argument"),
        (["get"], "Missing argument 'ID'. (wpbridge get --help)"),
        (["get", "1", "2"], "extra argument"),
        (["run"], "Missing argument"),
        (["stats", "--by", "week"], "'week'"),
        (["wp", "nonsense"], "(wpbridge wp --help)"),
        (["completion", "tcsh"], "'tcsh'"),
        (["--nonsense", "list"], "(wpbridge --help)"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(
    site: Site, arguments: list[str], words: str
) -> None:
    done = site(*arguments)
    assert is_one_line(done, 2), done
    assert words in done.err
    assert done.err.endswith("--help)\n")


def test_a_bare_command_shows_the_help(site: Site) -> None:
    done = site()
    assert done.code == 2
    assert "Usage: wpbridge" in done.err


def test_help_ends_in_examples_a_line_each(site: Site) -> None:
    # Groups list their commands.
    names = [
        name
        for name in cli.list_commands(click.Context(cli))
        if name
        not in {
            "config",
            "deploy",
            "doctor",
            "explain",
            "keys",
            "wp",
            "install",
            "migrate",
            "sites",
            "users",
            "workers",
        }
    ]
    moves = ["wp-cron", "post-store", "export", "import", "copy", "index", "archive"]
    shown = ["config show", "deploy list", "deploy show", "deploy write"]
    shown += ["keys list", "keys rotate-signing", "users list", "workers list"]
    for name in (*names, *shown, *(f"migrate {move}" for move in moves)):
        told = site.ok(*name.split(), "--help")
        assert site.ok(*name.split(), "--help") == told
        last = [line.strip() for line in told.rstrip().split("\n\n")[-1].splitlines()]
        assert last[0].startswith("Example"), name
        assert all(line.startswith(f"wpbridge {name}") for line in last[1:]), last


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["get", "1"],
        ["stats"],
        ["failures"],
        ["claims"],
        ["pause"],
        ["enqueue", "h"],
        ["cancel", "1"],
        ["clean"],
        ["dedupe"],
        ["run", "1"],
        ["release-claims", "--stale"],
    ],
)
def test_a_queue_that_is_not_there_is_one_line(tmp_path: Path, command: list[str]) -> None:
    none = call(*command, cwd=tmp_path)
    assert is_one_line(none, 78)
    assert "no WordPress in" in none.err
    empty = call(*command, cwd=tmp_path, env={"WPBRIDGE_DSN": "sqlite:///empty.db"})
    assert is_one_line(empty, 78)
    assert "is its name right?" in empty.err
    assert not (tmp_path / "empty.db").exists()
    gone = call(*command, cwd=tmp_path, env={"WPBRIDGE_DSN": "mysql://u:sEcReT@127.0.0.1:9/db"})
    assert is_one_line(gone, 69)
    assert "sEcReT" not in gone.err


def test_a_terminal_shows_errors_in_one_line_too(tmp_path: Path) -> None:
    done = on_terminal("list", cwd=tmp_path)
    assert done.code == 78
    assert done.out.count("\n") == 1
