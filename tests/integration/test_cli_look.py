"""``list``, ``get``, ``logs`` and ``next``: which actions are meant, and what is said of them."""

import json
from datetime import timedelta

import pytest

from cli_helpers import Site, is_one_line
from factories import insert, make_new
from rows import change, column
from wpbridge.action import ActionId
from wpbridge.cli.filters import STATUSES
from wpbridge.clock import SystemClock, to_text

ACTIONS = "wp_actionscheduler_actions"


def add(site: Site, hook: str, **more: object) -> ActionId:
    now = SystemClock().now()
    made = make_new(hook, now=now, **more)  # type: ignore[arg-type]  # make_new's own keywords
    return insert(site.store, made, now=now)[0]


def update(site: Site, action_id: int, **columns: object) -> None:
    parts = ", ".join(f"{name} = :{name}" for name in columns)
    change(site.store, f"UPDATE {ACTIONS} SET {parts} WHERE action_id = :i", i=action_id, **columns)


# Filters


@pytest.fixture
def mixed(site: Site) -> Site:
    """Seven actions, each unlike the others in one way."""
    now = SystemClock().now()
    add(site, "mail", args=(17,), due_in=-60.0)
    add(site, "mail", args={"order": 17}, group="shop", due_in=-7200.0)
    add(site, "sync", group="shop", due_in=86400.0)
    add(site, "sync", interval=3600, due_in=150.0)
    add(site, "odd_100%", args=("50%_off!",), group="Bulk", due_in=1200.0)
    add(site, "done", due_in=-1000.0)
    add(site, "long", args=("x" * 500,), due_in=-10.0)
    update(site, 3, status="canceled")
    update(site, 4, claim_id=9)
    update(site, 5, status="failed", last_attempt_gmt=to_text(now - timedelta(days=2)))
    update(site, 6, status="complete", last_attempt_gmt=to_text(now - timedelta(hours=1)))
    return site


FILTERS = {
    "": "1 2 3 4 5 6 7",
    "--hook mail": "1 2",
    "--hook mail --hook sync": "1 2 3 4",
    "--hook nobody": "",
    "--group shop": "2 3",
    "--group shop --group Bulk": "2 3 5",
    "--group nobody": "",
    "--group=": "1 4 6 7",
    "--status pending": "1 2 4 7",
    "--status failed,complete": "5 6",
    "--status failed --status canceled": "3 5",
    "--args [17]": "1",
    '--args {"order":17}': "2",
    "--args []": "3 4 6",
    "--args @long.json": "7",
    "--since now": "3 4 5",
    "--since -2m": "1 3 4 5 7",
    "--until -1h": "2",
    "--since +30s --until +5m": "4",
    "--modified-since -1d": "6",
    "--modified-until -1d": "1 2 3 4 5 7",
    "--modified-since -3d --modified-until -1d": "5",
    "--claim 9": "4",
    "--claim 8": "",
    "--claimed": "4",
    "--unclaimed": "1 2 3 5 6 7",
    "--search mail": "1 2",
    "--search 17": "1 2",
    "--search order": "2",
    "--search 50%_off": "5",
    "--search 0%": "5",
    "--search _": "5",
    "--search !": "5",
    "--search xxxxx": "7",
    "--hook mail --group shop": "2",
    "--hook mail --status failed": "",
    "--group shop --status pending,canceled --since now": "3",
}


def test_filters(mixed: Site) -> None:
    (mixed.folder / "long.json").write_text(json.dumps(["x" * 500]), encoding="utf-8")
    by_id = ("--format", "ids", "--order-by", "id")
    assert {f: mixed.ok("list", *f.split(), *by_id) for f in FILTERS} == {
        f: f"{ids}\n" for f, ids in FILTERS.items()
    }
    assert {f: mixed.ok("list", *f.split(), "--format", "count") for f in FILTERS} == {
        f: f"{len(ids.split())}\n" for f, ids in FILTERS.items()
    }


def test_the_same_filters_mean_the_same_to_a_change(mixed: Site) -> None:
    (mixed.folder / "long.json").write_text(json.dumps(["x" * 500]), encoding="utf-8")
    for flags, ids in FILTERS.items():
        if flags:
            # By the last attempt alone, delete means what has one: ended actions.
            every = [] if "--status" in flags else [f"--status={s}" for s in STATUSES]
            given = [*flags.split(), *(every if "--modified" in flags else [])]
            told = json.loads(mixed.ok("delete", *given, "--dry-run", "--format", "json"))
            found = sorted([*told["ids"], *map(int, told["skipped"])])
            assert found == list(map(int, ids.split())), flags


UNREADABLE = [
    (["--status", "done"], "'done' is none of pending, in-progress"),
    (["--status", ""], "'' is none of"),
    (["--status", "failed,"], "'' is none of"),
    (["--hook", ""], "--hook: it is empty"),
    (["--search", ""], "--search: it is empty"),
    (["--args", "17"], "a JSON list or object"),
    (["--args", ""], "no JSON"),
    (["--since", "yesterday"], "--since"),
    (["--until", ""], "--until"),
    (["--modified-since", "x"], "--modified-since"),
    (["--modified-until", "-999999d"], "--modified-until"),
    (["--claim", "0"], "--claim"),
    (["--claim", "x"], "--claim"),
]


@pytest.mark.parametrize(
    "command", ["list", "failures", "cancel", "delete", "requeue", "reschedule"]
)
def test_filters_that_cannot_be_read(lite: Site, command: str) -> None:
    """Above all: what is empty, as an unset variable of a script, never means everything."""
    add(lite, "h")
    more = ["--in", "1h"] if command == "reschedule" else []
    for flags, words in UNREADABLE:
        done = lite(command, *flags, *more)
        assert is_one_line(done, 2), done
        assert words in done.err
    assert lite.store.counts() == {"pending": 1}


def test_arguments_that_are_not_utf_8(lite: Site) -> None:
    for arguments in (
        ["list", "--hook", "\udcff"],
        ["list", "--group", "\udcff"],
        ["list", "--search", "\udcff"],
        ["list", "--args", '["\udcff"]'],
        ["next", "\udcff"],
        ["cancel", "\udcff"],
        ["delete", "--hook", "\udcff"],
        ["enqueue", "\udcff"],
        ["enqueue", "h", "--key", "\udcff"],
        ["pause", "--hook", "\udcff"],
        ["pause", "--hook", "h", "--reason", "\udcff"],
        ["clean", "--hook", "\udcff"],
        ["dedupe", "--group", "\udcff"],
    ):
        done = lite(*arguments)
        assert is_one_line(done, 2), done
    assert lite.store.counts() == {}


# One action


def test_get_tells_everything(site: Site) -> None:
    site.ok(
        "enqueue", "h", "--args", "[1]", "--group", "g", "--cron", "0 3 * * *", "--tz", "Asia/Tokyo"
    )
    told = json.loads(site.ok("get", "1", "--format", "json"))
    assert told["log"][0]["message"] == "action created"
    assert (told["tz"], told["kind"], told["recurrence"]) == ("Asia/Tokyo", "cron", "0 3 * * *")
    lines = dict(line.split("\t") for line in site.ok("get", "1").splitlines())
    assert lines["hook"] == "h"
    assert lines["tz"] == "Asia/Tokyo"
    assert lines["log 1"].endswith("Z action created")
    assert site.ok("get", "1", "--field", "status") == "pending\n"
    assert site.ok("get", "1", "--field", "args") == "[1]\n"
    assert site.ok("get", "1", "--format", "csv", "--fields", "id,hook") == "id,hook\n1,h\n"


def test_what_cannot_be_read_is_shown_all_the_same(site: Site) -> None:
    broken = add(site, "broken")
    update(
        site,
        broken,
        args="{not json",
        schedule="O:3:nonsense",
        scheduled_date_gmt="0000-00-00 00:00:00",
    )
    foreign = add(site, "foreign")
    update(site, foreign, schedule='O:9:"My_Class1":0:{}', status="my-own")
    row = json.loads(site.ok("get", str(broken), "--format", "json"))
    assert (row["args"], row["kind"], row["scheduled"]) == ("{not json", "unreadable", None)
    row = json.loads(site.ok("get", str(foreign), "--format", "json"))
    assert (row["kind"], row["status"]) == ("foreign: My_Class1", "my-own")
    assert len(site.ok("list").splitlines()) == 3


@pytest.mark.parametrize("command", ["get", "logs"])
def test_an_id_that_is_not_there(site: Site, command: str) -> None:
    for told, code in (
        ("777", 1),
        (str((1 << 63) - 1), 1),
        ("0", 2),
        ("-1", 2),
        ("x", 2),
        ("9" * 5000, 2),
        ("", 2),
    ):
        done = site(command, told)
        assert is_one_line(done, code), done
        assert len(done.err) < 300


def test_logs_of_several_actions(site: Site) -> None:
    first, second = add(site, "a"), add(site, "b")
    site.ok("cancel", str(first), "--reason", "not wanted")
    lines = [line.split("\t") for line in site.ok("logs", str(first)).splitlines()]
    assert lines[0] == ["date", "message"]
    assert [line[1] for line in lines[1:]] == [
        "action created",
        "action canceled via wpbridge: not wanted",
    ]
    both = [line.split("\t") for line in site.ok("logs", f"{second} {first}").splitlines()]
    assert both[0] == ["action_id", "date", "message"]
    assert [int(line[0]) for line in both[1:]] == [second, first, first]


def test_logs_outlive_their_action(site: Site) -> None:
    gone = add(site, "a")
    change(site.store, f"DELETE FROM {ACTIONS}")
    assert "action created" in site.ok("logs", str(gone))
    assert is_one_line(site("get", str(gone)), 1)


# Next


def test_next_tells_the_earliest_date(site: Site) -> None:
    site.ok("enqueue", "h", "--at", "2027-12-01T00:00Z")
    site.ok("enqueue", "h", "--at", "2027-11-30T00:00Z")
    site.ok("enqueue", "h", "--at", "2027-10-01T00:00Z", "--args", "[1]", "--group", "g")
    assert site.ok("next", "h") == "2027-11-30T00:00:00Z\n"
    assert site.ok("next", "h", "--raw") == "1827532800\n"
    assert site.ok("next", "h", "--any-args") == "2027-10-01T00:00:00Z\n"
    assert site.ok("next", "h", "--args", "[1]") == "2027-10-01T00:00:00Z\n"
    assert site.ok("next", "h", "--args", "[1]", "--group", "g") == "2027-10-01T00:00:00Z\n"


def test_next_says_now_for_what_is_async_or_runs(site: Site) -> None:
    site.ok("enqueue", "h")
    assert site.ok("next", "h") == "now\n"
    site.ok("enqueue", "g", "--at", "2027-12-01T00:00Z")
    update(site, 2, status="in-progress")
    assert site.ok("next", "g", "--raw") == "now\n"


def test_next_says_beside_why_there_is_none(site: Site) -> None:
    site.ok("enqueue", "h", "--args", "[1]", "--group", "g")
    done = site("next", "h")
    assert (done.code, done.out) == (0, "")
    assert (
        done.err == "no matching action is pending or running; others have other args: --any-args\n"
    )
    none = site("next", "nobody", "--any-args")
    assert (none.code, none.out, none.err) == (0, "", "no matching action is pending or running\n")
    assert site("next", "h", "--any-args", "--group", "other").out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["h", "--args", "[1]", "--any-args"], "--args and --any-args"),
        (["h", "--args", "17"], "args"),
        ([""], "hook: it is empty"),
        ([], "Missing argument 'HOOK'"),
    ],
)
def test_next_refuses(lite: Site, arguments: list[str], words: str) -> None:
    done = lite("next", *arguments)
    assert is_one_line(done, 2)
    assert words in done.err


def test_looking_changes_nothing(mixed: Site) -> None:
    before = [column(mixed.store, "claim_id", i) for i in range(1, 8)]
    for command in (
        "list --limit 0",
        "get 1",
        "logs 1",
        "next mail",
        "stats",
        "failures",
        "claims",
        "pause",
        "status",
    ):
        assert mixed(*command.split()).code == 0
    assert [column(mixed.store, "claim_id", i) for i in range(1, 8)] == before


def test_delete_by_the_last_attempt_leaves_what_never_ran(mixed: Site) -> None:
    told = json.loads(
        mixed.ok("delete", "--modified-until", "-1d", "--dry-run", "--format", "json")
    )
    ids = [*told["ids"], *map(int, told["skipped"])]
    assert ids
    statuses = {mixed.ok("get", str(i), "--field", "status").strip() for i in ids}
    assert statuses <= {"complete", "failed", "canceled"}
