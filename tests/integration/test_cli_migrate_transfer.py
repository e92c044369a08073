"""``migrate export``, ``import`` and ``copy``: what is said, where it goes, and exit codes."""

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import warm
from cli_helpers import COMMAND, Site, clean_env, is_one_line, sqlite_site, state_of
from conftest import ROOT
from factories import insert, make_new
from rows import change, query
from wpbridge.migrate.journal import Journal
from wpbridge.store.running.runner_store import RunnerStore


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    (tmp_path / "from").mkdir()
    return Site(dsn, tmp_path / "from", open_queue(dsn))


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "to").mkdir()
    with sqlite_site(tmp_path / "to") as it:
        yield it


def hooks(site: Site) -> list[str]:
    rows = query(site.store, "SELECT hook FROM wp_actionscheduler_actions ORDER BY action_id")
    return [str(row[0]) for row in rows]


def test_a_queue_goes_through_a_file(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a"), make_new("b"))
    file = str(site.folder / "queue.jsonl.gz")
    assert site.ok("migrate", "export", "--output", file) == f"exported 2 actions to {file}\n"
    assert gzip.decompress(Path(file).read_bytes()).count(b"\n") == 4
    tried = lite("migrate", "import", "--input", file, "--dry-run")
    assert (tried.code, tried.out) == (0, "would import 2 actions\n")
    assert [line.split()[0] for line in tried.err.splitlines()] == ["a", "b"]
    assert hooks(lite) == []
    assert lite.ok("migrate", "import", "--input", file) == (
        "imported 2 actions, verified; undo with"
        f" --undo {state_of(lite.folder)}/wpbridge-import-lite-wp.journal\n"
    )
    assert hooks(lite) == ["a", "b"]
    again = lite.ok("migrate", "import", "--input", file)
    assert again == "imported 0 actions, 2 there from before, verified\n"
    assert lite.ok("migrate", "import", "--input", file, "--quiet") == ""


def test_a_queue_goes_through_a_pipe(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a"))
    out = site.process("migrate", "export", "--output", "-")
    assert out.err == "exported 1 action to -\n"
    done = lite.process("migrate", "import", "--input", "-", input=out.out)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("imported 1 action, verified; undo with")


def test_filters_narrow_an_export_and_a_copy(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a", group="g"), make_new("b"))
    told = site.ok("migrate", "export", "--output", "q", "--group", "g", "--format", "json")
    assert json.loads(told) == {
        "dry_run": False,
        "actions": 1,
        "statuses": {"pending": 1},
        "output": str(site.folder / "q"),
    }
    copied = site.ok("migrate", "copy", "--to-dsn", lite.dsn, "--hook", "b", "--journal", "j")
    assert copied == f"copied 1 action, verified; undo with --undo {site.folder}/j\n"
    assert hooks(lite) == ["b"]


def test_a_dry_run_writes_no_file(site: Site) -> None:
    insert(site.store, make_new("a"))
    done = site("migrate", "export", "--output", "q", "--dry-run")
    assert (done.code, done.out) == (0, f"would export 1 action to {site.folder}/q\n")
    assert json.loads(done.err)["hook"] == "a"
    assert list(site.folder.iterdir()) == []


def test_bad_lines_are_in_a_side_file_and_the_exit_code(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a"))
    site.ok("migrate", "export", "--output", "q")
    lines = (site.folder / "q").read_text("utf-8").splitlines()
    lines.insert(1, "{damaged")
    (lite.folder / "q").write_text("\n".join(lines), "utf-8")
    done = lite("migrate", "import", "--input", "q")
    assert done.code == 1
    assert done.out.startswith(
        f"imported 1 action, 1 rejected, see {state_of(lite.folder)}/q.rejected.jsonl,"
        " NOT verified; undo with"
    )
    kept = json.loads((state_of(lite.folder) / "q.rejected.jsonl").read_text("utf-8"))
    assert kept == {"line": 2, "why": "it is no JSON object", "text": "{damaged"}
    assert "was written with 1 actions and holds 2" in done.err


def test_a_file_that_is_cut_off_is_told(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a"))
    site.ok("migrate", "export", "--output", "q")
    lines = (site.folder / "q").read_text("utf-8").splitlines()[:-1]
    (lite.folder / "q").write_text("\n".join(lines), "utf-8")
    done = lite("migrate", "import", "--input", "q")
    assert (done.code, done.out.split(";")[0]) == (1, "imported 1 action, verified")
    assert done.err == "the input ends early: its last line is missing, and perhaps more\n"


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--output", "gone/q"),
        ("import", "--input", "gone"),
        ("import",),
        ("import", "--input", "letter"),
        ("import", "--undo", "gone"),
        ("import", "--undo", "letter"),
        ("import", "--undo", "letter", "--input", "letter"),
        ("import", "--undo", "foreign"),
        ("import", "--input", "letter", "--shift", "soon"),
        ("import", "--input", "letter", "--status", "odd"),
        ("copy", "--to-dsn", "SAME"),
    ],
)
def test_what_cannot_be_used_is_one_line(lite: Site, words: tuple[str, ...]) -> None:
    (lite.folder / "letter").write_text("hello\n" * 50, "utf-8")
    header = {"journal": 1, "kind": "import", "site": "another wp_", "asked": {}}
    (lite.folder / "foreign").write_text(json.dumps(header) + "\n", "utf-8")
    done = lite("migrate", *[lite.dsn if word == "SAME" else word for word in words])
    assert is_one_line(done, 2)


def fifty(site: Site) -> str:
    """A file of so many actions."""
    insert(site.store, *[make_new(f"h{n}") for n in range(50)])
    site.ok("migrate", "export", "--output", "q")
    return str(site.folder / "q")


@pytest.mark.parametrize("verb", ["import", "copy"])
def test_many_are_added_when_somebody_says_yes(site: Site, lite: Site, verb: str) -> None:
    file = fifty(site)
    caller = lite if verb == "import" else site
    words = {"import": ("--input", file), "copy": ("--to-dsn", lite.dsn)}[verb]
    assert is_one_line(caller("migrate", verb, *words), 2)
    declined = caller.terminal("migrate", verb, *words, answer="n\n")
    assert declined.code == 1
    assert f"{lite.dsn.removeprefix('sqlite:///')} wp_?" in declined.err + declined.out
    assert hooks(lite) == []
    assert caller("migrate", verb, *words, "--dry-run").code == 0
    assert list(state_of(caller.folder).glob("*")) == []
    assert caller.terminal("migrate", verb, *words, answer="y\n").code == 0
    assert len(hooks(lite)) == 50
    again = caller.ok("migrate", verb, *words, "--yes")
    assert again.endswith(" 0 actions, 50 there from before, verified\n")


def test_a_few_are_added_without_a_question(site: Site, lite: Site) -> None:
    insert(site.store, *[make_new("h") for n in range(20)])
    site.ok("migrate", "export", "--output", "few")
    few = (site.folder / "few").read_text("utf-8")
    (lite.folder / "few").write_text(few, "utf-8")
    assert lite.ok("migrate", "import", "--input", "few").startswith("imported 20 actions")
    insert(site.store, make_new("h"))
    site.ok("migrate", "export", "--output", "more")
    refused = lite("migrate", "import", "--input", str(site.folder / "more"))
    assert is_one_line(refused, 2)
    assert "Add 21 actions of " in refused.err
    (lite.folder / "unknown").write_text(few.replace('"count":20', '"count":null'), "utf-8")
    assert is_one_line(lite("migrate", "import", "--input", "unknown"), 2)
    assert len(hooks(lite)) == 20


@pytest.mark.parametrize("verb", ["import", "copy"])
def test_what_was_added_is_taken_back(site: Site, lite: Site, verb: str) -> None:
    file = fifty(site)
    insert(lite.store, make_new("mine"))
    lite.ok("migrate", "import", "--input", file, "--journal", "j", "--yes")
    lite.ok("cancel", "--hook", "h9", "--yes")
    to = {"import": (), "copy": ("--to-dsn", lite.dsn)}[verb]
    undo = ("migrate", verb, *to, "--undo", "j")
    tried = lite(*undo, "--dry-run")
    assert (tried.code, tried.out) == (
        0,
        "would delete 49 actions (49 pending), 1 have run or changed since and stay\n",
    )
    assert [line.split()[0] for line in tried.err.splitlines()] == ["h0", "h1", "h2"]
    assert is_one_line(lite(*undo), 2)
    assert len(hooks(lite)) == 51
    done = json.loads(lite.ok(*undo, "--yes", "--format", "json"))
    assert done == {
        "dry_run": False,
        "removed": {"pending": 49},
        "changed": 1,
        "held": 0,
        "gone": 0,
        "problems": [],
    }
    assert hooks(lite) == ["mine", "h9"]
    assert lite.ok(*undo) == (
        "deleted 0 actions, 1 have run or changed since and stay, 49 are gone already\n"
    )


def test_what_a_runner_holds_is_left_and_told(site: Site, lite: Site) -> None:
    lite.ok("migrate", "import", "--input", fifty(site), "--journal", "j", "--yes")
    change(lite.store, "UPDATE wp_actionscheduler_actions SET claim_id = 7 WHERE hook = 'h3'")
    done = lite("migrate", "import", "--undo", "j", "--yes")
    assert (done.code, done.out) == (
        1,
        "deleted 49 actions (49 pending), 1 are held by runners: try again later\n",
    )
    assert hooks(lite) == ["h3"]


def test_a_target_that_is_not_there_is_not_made(lite: Site) -> None:
    done = lite("migrate", "copy", "--to-dsn", f"sqlite:///{lite.folder}/none.db")
    assert is_one_line(done, 78)
    assert not (lite.folder / "none.db").exists()


def test_blogs_and_prefixes_are_queues_of_their_own(lite: Site) -> None:
    insert(lite.store, make_new("a"))
    for prefix in ("shop_", "wp_3_"):
        assert lite("init", "--with-tables", "--table-prefix", prefix).code == 0
    to = ("migrate", "copy", "--to-dsn", lite.dsn)
    for place, journal in (
        (("--to-table-prefix", "shop_"), "wpbridge-import-lite-shop.journal"),
        (("--to-blog-id", "3"), "wpbridge-import-lite-wp_3.journal"),
    ):
        told = lite.ok(*to, *place)
        assert (
            told
            == f"copied 1 action, verified; undo with --undo {state_of(lite.folder)}/{journal}\n"
        )
    for prefix in ("shop_", "wp_3_"):
        assert query(lite.store, f"SELECT hook FROM {prefix}actionscheduler_actions")[0][0] == "a"


def test_the_script_to_adapt_runs(site: Site, lite: Site) -> None:
    insert(site.store, make_new("a"))
    done = warm.run(
        [sys.executable, ROOT / "scripts" / "migrate" / "transfer.py", site.dsn, lite.dsn],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=lite.folder,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "1 copied, 0 there from before, 0 left out\n",
        "",
    )
    assert hooks(lite) == ["a"]
    undo = ("migrate", "import", "--undo", "transfer.journal")
    assert lite.ok(*undo) == "deleted 1 action (1 pending)\n"


def bad_line(folder: Path, origin: str = "o") -> Path:
    """A file with one line that can be added and one that cannot."""
    file = folder / f"{origin}.jsonl"
    good = {"hook": "h", "status": "pending", "args": [], "schedule": {"kind": "async"}}
    lines = (
        {"wpbridge": "actions", "version": 1, "origin": origin, "zone": "UTC", "count": 2},
        {"id": 1, **good},
        {"id": 2, **good, "hook": origin * 200},
        {"wpbridge": "end", "actions": 2},
    )
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_file_that_is_read_is_not_written_over(lite: Site) -> None:
    file = bad_line(lite.folder)
    before = file.read_bytes()
    done = lite("migrate", "import", "--input", str(file), "--rejects", str(file))
    assert (done.code, file.read_bytes()) == (2, before)


def test_a_trial_writes_no_side_file(lite: Site) -> None:
    file = bad_line(lite.folder)
    lite("migrate", "import", "--input", str(file), "--dry-run")
    assert not state_of(lite.folder).exists()


def test_what_an_earlier_import_set_aside_is_kept(lite: Site) -> None:
    """From a pipe it is nowhere else; a copy in two steps, as the how-to says, does the same."""
    for origin in "ab":
        text = bad_line(lite.folder, origin).read_text()
        lite("migrate", "import", "--input", "-", input=text)
    kept = "".join(file.read_text() for file in state_of(lite.folder).glob("rejected*"))
    assert ("aaa" in kept, "bbb" in kept) == (True, True)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_an_export_writes_into_what_is_no_plain_file(site: Site, kind: str) -> None:
    """So that --output /dev/null or /dev/stdout, as root, does not replace the device."""
    insert(site.store, make_new("a"))
    place, target = site.folder / "place", site.folder / "target"
    if kind == "pipe":
        os.mkfifo(place)
        reader = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        site("migrate", "export", "--output", str(place))
        os.close(reader)
        assert place.is_fifo()
    else:
        target.touch()
        place.symlink_to(target)
        site("migrate", "export", "--output", str(place))
        assert place.is_symlink()


@pytest.mark.parametrize("verb", ["import", "undo"])
def test_a_journal_that_cannot_be_written_is_named(
    lite: Site, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an import the input was said to be full."""
    words = ["migrate", "import", "--journal", "j", "--input", str(bad_line(lite.folder))]
    if verb == "undo":
        lite(*words)
        words = ["migrate", "import", "--undo", "j", "--yes"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Journal, "_append", full)
    done = lite(*words)
    assert "journal" in done.err
    assert "--input" not in done.err


@pytest.mark.parametrize("text", ["", '{"journal": 1, "kind": "imp'])
def test_a_trial_of_undo_changes_no_file(lite: Site, text: str) -> None:
    file = lite.folder / "j"
    file.write_text(text)
    done = lite("migrate", "import", "--undo", "j", "--dry-run")
    assert (done.code, file.read_text()) == (2, text)


def test_a_newer_layout_is_only_read(lite: Site) -> None:
    change(lite.store, "CREATE TABLE wp_options (option_name TEXT, option_value TEXT)")
    change(
        lite.store, "INSERT INTO wp_options VALUES ('schema-ActionScheduler_StoreSchema', '10.0.1')"
    )
    done = lite("migrate", "import", "--input", str(bad_line(lite.folder)))
    assert (done.code, hooks(lite)) == (78, [])


def test_ctrl_c_ends_an_import_that_waits_for_a_lock(
    mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    """The first at once, as it does everywhere else; the thread waits for ten minutes."""
    site = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    file = bad_line(tmp_path)
    site("migrate", "import", "--input", str(file))
    beside = open_queue(mysql_dsn)
    change(beside, "LOCK TABLES wp_actionscheduler_actions WRITE")
    waiting = (
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"
        " AND STATE LIKE 'Waiting for table%'"
    )
    words = [*COMMAND, "migrate", "import", "--input", str(bad_line(tmp_path, "second"))]
    with warm.Popen(
        words, cwd=tmp_path, env=clean_env(tmp_path, site.env), stderr=subprocess.PIPE
    ) as process:
        try:
            while query(site.store, waiting)[0][0] == 0 and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            assert process.wait(300) == 130
        finally:
            process.kill()
            change(beside, "UNLOCK TABLES")


def test_a_packed_file_comes_through_standard_input(lite: Site) -> None:
    """`PackedFile or not`, says the help of --input FILE|-."""
    packed = gzip.compress(bad_line(lite.folder).read_bytes())
    done = lite("migrate", "import", "--input", "-", "--dry-run", input=packed)
    assert done.out.startswith("would import 1 action")


def test_a_file_that_cannot_go_back_is_read(lite: Site) -> None:
    """As ``--input <(ssh shop cat queue.jsonl)`` gives it."""
    text = bad_line(lite.folder).read_text()
    done = lite.process("migrate", "import", "--input", "/dev/stdin", "--dry-run", input=text)
    assert done.out.startswith("would import 1 action")


@pytest.mark.parametrize("more", [("--status", "failed"), ("--unique",), ("--journal", "other")])
def test_undo_takes_no_options_that_it_does_not_heed(lite: Site, more: tuple[str, ...]) -> None:
    """As of the other two migrations that can be undone."""
    lite("migrate", "import", "--input", str(bad_line(lite.folder)), "--journal", "j")
    done = lite("migrate", "import", "--undo", "j", "--yes", *more)
    assert (done.code, hooks(lite)) == (2, ["h"])
