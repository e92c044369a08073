"""``migrate wp-cron`` from the shell: what it says, how it ends, what it leaves."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_helpers import Done, Site, is_one_line, sqlite_site, state_of, tables
from conftest import ROOT
from legacy_store import make_tables
from rows import change, query
from servers import MariaDB
from stores import make_store
from wpbridge.codec import php
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.plugin import cron_bridge
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.rows.options import CRON, CRON_LOCK

LATER = 1_900_000_000
ODD = b'a:2:{s:8:"schedule";b:0;s:4:"args";a:1:{i:0;O:8:"stdClass":0:{}}}'


USUAL = "wpbridge-wp-cron-lite-wp.journal"
"""The name of the journal that nobody named."""


def single(hook: str, number: int) -> Event:
    values: php.PhpArray = {0: number}
    value = php.encode({b"schedule": False, b"args": values})
    return Event(date=LATER + number, hook=hook.encode(), key=key_of(values), value=value)


def write(site: Site, *events: Event) -> bytes:
    option = CronOption({b"version": 2})
    option.add(events)
    change(site.store, "DELETE FROM wp_options WHERE option_name = 'cron'")
    change(
        site.store,
        "INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('cron', :v, 'yes')",
        v=option.encode().decode(),
    )
    return option.encode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_site(tmp_path) as it:
        change(
            it.store,
            "CREATE TABLE wp_options (option_id INTEGER PRIMARY KEY, option_name TEXT UNIQUE,"
            " option_value TEXT, autoload TEXT)",
        )
        write(it, single("shop_a", 1), single("shop_a", 2), single("shop_b", 3), single("mail", 4))
        yield it


def run(site: Site, *more: str) -> Done:
    return site("migrate", "wp-cron", "--settle", "0s", *more)


def test_a_dry_run_counts_shows_some_and_changes_nothing(site: Site) -> None:
    before = tables(site.store)
    done = run(site, "--hooks", "shop_*", "--dry-run")
    assert done.code == 0
    assert done.lines == [
        "       2 shop_a",
        "       1 shop_b",
        "e.g. shop_a [1] 2030-03-17T17:46:41Z once",
        "e.g. shop_a [2] 2030-03-17T17:46:42Z once",
        "e.g. shop_b [3] 2030-03-17T17:46:43Z once",
        "would move 3 events, leave 0 that no action can hold and 1 not meant",
    ]
    assert tables(site.store) == before
    assert not state_of(site.folder).exists()
    told = json.loads(run(site, "--dry-run", "--format", "json").out)
    assert (told["would_move"], told["by_hook"]) == (4, {"shop_a": 2, "shop_b": 1, "mail": 1})


def test_it_moves_says_one_line_and_tells_of_the_cache(site: Site) -> None:
    done = run(site, "--hooks", "shop_*", "--yes")
    assert (done.code, len(done.lines)) == (0, 1)
    assert done.out.startswith("moved 3 events of 2 hooks, 3 compared with their events; undo")
    assert "wp cache flush" in done.err
    assert "--bridge" in done.err
    assert run(site, "--hooks", "shop_*", "--yes").out.startswith("moved 0 events of 0 hooks;")


def test_without_a_terminal_it_wants_yes(site: Site) -> None:
    before = tables(site.store)
    assert is_one_line(run(site), 2)
    assert tables(site.store) == before


def test_what_was_left_lies_in_the_side_file(site: Site) -> None:
    odd = Event(date=LATER, hook=b"odd", key=b"k", value=ODD)
    write(site, odd, single("mail", 4))
    done = run(site, "--yes", "--journal", "j")
    assert done.code == 1
    assert "left in WP-Cron: odd at 1900000000: its args hold an object of the class stdClass" in (
        done.err
    )
    [line] = (site.folder / "j.left").read_text("utf-8").splitlines()
    assert json.loads(line)["value"].encode("latin-1") == ODD
    assert run(site, "--dry-run").code == 1
    write(site, single("mail", 4))
    assert run(site, "--yes", "--journal", "j").code == 0
    assert not (site.folder / "j.left").exists(), "an earlier run's"


def test_undo_says_what_it_would_do_and_does_it(site: Site) -> None:
    before = site.store.parts.options.read(CRON)
    run(site, "--yes")
    undo = ("--undo", USUAL)
    tried = run(site, *undo, "--dry-run")
    assert tried.lines[0] == "e.g. shop_a [1] 2030-03-17T17:46:41Z once"
    assert tried.lines[4:] == ["would put 4 events back"]
    told = json.loads(run(site, *undo, "--dry-run", "--format", "json").out)
    assert (told["would_restore"], len(told["samples"])) == (4, 4)
    assert is_one_line(run(site, *undo), 2)
    assert run(site, *undo, "--yes").out == "put 4 events back, verified\n"
    assert site.store.parts.options.read(CRON) == before
    assert run(site, *undo, "--yes").out == "put 0 events back, 4 not pending any more\n"


def test_a_damaged_journal_is_told_in_a_line(site: Site) -> None:
    run(site, "--yes")
    file = state_of(site.folder) / USUAL
    file.write_text(file.read_text().replace('"events"', '"evnts"'))
    before = tables(site.store)
    done = run(site, "--undo", file.name, "--yes")
    assert is_one_line(done, 2)
    assert "line 2 is damaged" in done.err
    assert tables(site.store) == before


def test_copies_of_a_file_are_told_as_such(site: Site) -> None:
    data = site.store.parts.options.read(CRON)
    (site.folder / "option").write_bytes(data or b"")
    copied = run(site, "--file", "option", "--yes")
    assert copied.out.startswith("moved 4 events of 3 hooks,")
    assert ", 4 known from before" in run(site, "--file", "option", "--yes").out
    undo = ("--undo", USUAL)
    assert run(site, *undo, "--dry-run").out == (
        "would put 0 events back, 4 actions of a file would be canceled\n"
    )
    assert run(site, *undo, "--yes").out == (
        "put 0 events back, 4 actions of a file canceled, verified\n"
    )
    assert site.store.parts.options.read(CRON) == data
    assert site.store.counts() == {"canceled": 4}


@pytest.mark.parametrize(
    "more",
    [
        ("--undo", "nowhere"),
        ("--undo", "other.journal", "--yes"),
        ("--undo", "other.journal", "--hooks", "x"),
        ("--hooks", "action_scheduler_run_queue"),
        ("--journal", "other.journal", "--yes"),
        ("--file", "nowhere"),
        ("--group", ""),
        ("--settle", "soon"),
    ],
)
def test_what_is_given_wrong_changes_nothing(site: Site, more: tuple[str, ...]) -> None:
    (site.folder / "other.journal").write_text("somebody's\n")
    before = tables(site.store)
    assert is_one_line(run(site, *more), 2)
    assert tables(site.store) == before
    assert (site.folder / "other.journal").read_text() == "somebody's\n"


def test_a_running_pass_is_left_to_end(site: Site) -> None:
    change(
        site.store,
        "INSERT INTO wp_options (option_name, option_value) VALUES (:n, strftime('%s', 'now'))",
        n=CRON_LOCK,
    )
    done = run(site, "--yes")
    assert done.code == 75
    assert "doing_cron" in done.err


def test_a_damaged_option_is_told_with_its_byte(site: Site) -> None:
    change(site.store, "UPDATE wp_options SET option_value = substr(option_value, 1, 50)")
    done = run(site, "--yes")
    assert is_one_line(done, 1)
    assert "the cron option is damaged" in done.err
    assert "at byte" in done.err
    (site.folder / "torn").write_bytes(b"a:2:{s:7")
    done = run(site, "--file", "torn", "--yes")
    assert is_one_line(done, 2)
    assert "--file torn: not the bytes of a cron option" in done.err
    assert not state_of(site.folder).exists()


ODDITIES = (
    (b's:5:"2 may";a:1:{s:4:"text";a:1:{s:1:"k";a:1:{s:4:"args";a:0:{}}}}', "text", "2 may"),
    (b's:0:"";a:1:{s:5:"empty";a:1:{s:1:"k";a:1:{s:4:"args";a:0:{}}}}', "empty", ""),
    (b'i:1900000000;s:1:"x";', "", "1900000000"),
    (b'i:1900000000;a:1:{s:6:"broken";s:1:"x";}', "broken", "1900000000"),
)


@pytest.mark.parametrize(("entry", "hook", "date"), ODDITIES)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_malformed_entry_is_named_and_the_rest_moves(
    site: Site, entry: bytes, hook: str, date: str, *, is_file: bool
) -> None:
    good = write(site, single("shop_a", 1))
    data = b"a:3:{" + entry + good.removeprefix(b"a:2:{") + b"\r\n"
    change(site.store, "UPDATE wp_options SET option_value = :v", v=data.decode())
    (site.folder / "option").write_bytes(data)
    source = ("--file", "option") if is_file else ()
    trial = run(site, "--dry-run", "--format", "json", *source)
    [left] = json.loads(trial.out)["left"]
    assert (trial.code, left["hook"], left["date"]) == (1, hook, date)
    done = run(site, "--yes", "--journal", "j", *source)
    assert (done.code, done.out[:12]) == (1, "moved 1 even")
    assert f"left in WP-Cron: {f'{hook} at'.strip()} {date or 'no date'}: " in done.err
    assert json.loads((site.folder / "j.left").read_text("utf-8")) == left
    assert run(site, "--undo", "j", "--yes").code == 0
    [[now]] = query(site.store, "SELECT option_value FROM wp_options")
    assert str(now).encode() == data
    elsewhere = run(site, "--hooks", "shop_*", "--dry-run", *source)
    assert elsewhere.code == 0, "what is not meant is not told"


@pytest.mark.parametrize("data", ["", "b:0;", "\r\n"])
def test_an_option_without_events_is_no_damage(site: Site, data: str) -> None:
    change(site.store, "UPDATE wp_options SET option_value = :v", v=data)
    for words in (("--dry-run",), ("--yes",)):
        done = run(site, *words)
        assert done.code == 0
        assert "move 0 events" in done.out or "moved 0 events" in done.out
    [[now]] = query(site.store, "SELECT option_value FROM wp_options")
    assert now == data
    (site.folder / "nothing").write_bytes(b"\n")
    assert is_one_line(run(site, "--file", "nothing", "--yes"), 2)


def test_a_file_given_again_makes_nothing_and_takes_nothing_out(site: Site) -> None:
    option = CronOption({b"version": 2})
    option.add([single("shop_z", 9)])
    (site.folder / "other").write_bytes(option.encode())
    assert run(site, "--file", "other", "--yes").out.startswith("moved 1 event of 1 hook")
    assert run(site, "--file", "other", "--yes").out.startswith(
        "moved 0 events of 0 hooks, 1 known from before;"
    )


def test_a_site_without_wordpress_is_told(tmp_path: Path) -> None:
    with sqlite_site(tmp_path) as it:
        assert is_one_line(run(it, "--dry-run"), 78)


def test_a_bridge_needs_a_folder(site: Site) -> None:
    done = run(site, "--bridge", "--yes")
    assert is_one_line(done, 78)
    assert "--path" in done.err


def test_what_was_put_back_is_told_though_the_bridge_stays(site: Site) -> None:
    """Else nobody hears that the cache is to be flushed; called again, all has "ended since"."""
    run(site, "--hooks", "mail", "--yes")
    folder = site.folder / "wp" / "wp-content" / "mu-plugins"
    folder.mkdir(parents=True)
    (site.folder / "wp" / "wp-config.php").write_text("<?php $table_prefix = 'wp_';")
    (folder / "wpbridge-cron.php").write_text("<?php // somebody else's")
    done = run(site, "--path", "wp", "--undo", USUAL, "--yes")
    assert "put 1 event back" in done.out
    assert "cache flush" in done.err
    assert "was not written by wpbridge" in done.err
    assert done.code == 78


def test_what_the_script_to_adapt_moves_comes_back_by_the_command(
    mariadb: MariaDB, mysql_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = DatabaseAddress.from_dsn(mysql_dsn)
    html = tmp_path / "html"
    html.mkdir()
    (html / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{address.name}'); define('DB_USER', 'root');"
        f" define('DB_PASSWORD', ''); define('DB_HOST', 'localhost:{mariadb.socket}');"
        " define('DB_CHARSET', 'utf8mb4'); $table_prefix = 'wp_';"
    )
    store = make_store(address, "wp_")
    make_tables(store, ["options"])
    site = Site(mysql_dsn, tmp_path, store)
    before = write(site, single("shop_a", 1), single("mail", 2))
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(ROOT / "scripts" / "migrate" / "wp_cron.py"))["main"]
    assert main(str(html), "shop_*", settle_seconds=0) == 0
    assert store.counts() == {"pending": 1}
    done = run(site, "--undo", "wp-cron.journal", "--yes")
    assert done.out == "put 1 event back, verified\n"
    assert store.parts.options.read(CRON) == before
    store.close()


def test_a_hook_stays_in_the_bridge_while_another_journal_has_it_moved(site: Site) -> None:
    must_use = site.folder / "wp" / "wp-content" / "mu-plugins"
    must_use.mkdir(parents=True)
    (site.folder / "wp" / "wp-config.php").write_text("<?php $table_prefix = 'wp_';")
    for number, journal in enumerate(("first", "second", "second")):
        write(site, single("shop_a", 10 + number), single(f"shop_{number}", 20))
        done = run(site, "--path", "wp", "--bridge", "--yes", "--journal", journal)
        assert done.code == 0, done
    assert cron_bridge.read(must_use)["wp_"]["hooks"].keys() == {
        "shop_a",
        "shop_0",
        "shop_1",
        "shop_2",
    }
    assert run(site, "--path", "wp", "--undo", "second", "--yes").code == 0
    assert cron_bridge.read(must_use)["wp_"]["hooks"].keys() == {"shop_a", "shop_0"}
    assert run(site, "--path", "wp", "--undo", "first", "--yes").code == 0
    assert list(must_use.iterdir()) == []


@pytest.mark.parametrize("text", ["", '{"journal": 1, "kind": "wp'])
def test_a_trial_of_undo_changes_no_file(site: Site, text: str) -> None:
    (site.folder / "j").write_text(text, "utf-8")
    done = run(site, "--undo", "j", "--dry-run")
    assert (is_one_line(done, 2), (site.folder / "j").read_text("utf-8")) == (True, text)


def test_a_newer_layout_is_only_read(site: Site) -> None:
    change(
        site.store,
        "INSERT INTO wp_options (option_name, option_value)"
        " VALUES ('schema-ActionScheduler_StoreSchema', '10.0.1')",
    )
    assert run(site, "--dry-run").code == 0
    assert is_one_line(run(site, "--yes"), 78)
    assert query(site.store, "SELECT COUNT(*) FROM wp_actionscheduler_actions")[0][0] == 0
