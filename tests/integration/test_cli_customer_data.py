"""Files with customers' data: where the commands put them, and what an undo believes of them."""

import contextlib
import errno
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli_helpers import Done, Site, clean_env, is_one_line, sqlite_site, state_of, tables, wpbridge
from factories import insert, make_new
from rows import change, query
from wpbridge.errors import ConfigError
from wpbridge.site.config import load

ACTIONS = "wp_actionscheduler_actions"
FIX = ("migrate", "schema", "fix")
NAME = "wpbridge-schema-lite-wp.journal"


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The loosest there is: what is made for its owner alone is so by its mode."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A queue with an old action and a missing index; commands run in the WordPress folder."""
    html = tmp_path / "site"
    html.mkdir()
    with sqlite_site(tmp_path) as it:
        [old] = insert(it.store, make_new("send_mail", args=("jane@example.org",)))
        change(
            it.store,
            f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = '2020-01-01 00:00:00'"
            f" WHERE action_id = {old}",
        )
        change(it.store, f'DROP INDEX "{ACTIONS}__group_id"')
        change(
            it.store,
            "CREATE TABLE wp_options (option_id INTEGER PRIMARY KEY, option_name TEXT UNIQUE,"
            " option_value TEXT, autoload TEXT)",
        )
        change(
            it.store,
            "INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('cron', :v, '')",
            v='a:1:{i:1900000000;a:1:{s:1:"h";a:1:{s:1:"k";a:2:{s:8:"schedule";b:0;'
            's:4:"args";a:1:{i:0;s:16:"jane@example.org";}}}}}',
        )
        (html / "wp-settings.php").touch()
        (html / "in.jsonl").write_text(
            '{"wpbridge":"actions","version":1,"origin":"x"}\n{"id":1,"hook":""}\n'
            '{"id":2,"hook":"h","status":"pending","args":[],"schedule":{"kind":"async"}}\n'
        )
        yield Site(it.dsn, html, it.store)


def files(folder: Path) -> dict[str, str]:
    """Modes of all there is below a folder, by path."""
    return {
        str(file.relative_to(folder)): oct(stat.S_IMODE(file.lstat().st_mode))
        for file in folder.rglob("*")
    }


CRON = ("migrate", "wp-cron", "--yes", "--settle", "0s")


@pytest.mark.parametrize(
    "words",
    [
        ("migrate", "export", "--output", "export.jsonl"),
        ("migrate", "export", "--output", "./export.jsonl.gz", "--dry-run"),
        ("migrate", "archive", "--output", ".", "--yes"),
        ("migrate", "archive", "--output", "old.jsonl.gz", "--yes"),
        ("migrate", "import", "--input", "in.jsonl", "--yes", "--rejects", "r"),
        ("migrate", "import", "--input", "in.jsonl", "--yes", "--journal", "j"),
        ("migrate", "copy", "--to-dsn", "sqlite:///../other.db", "--yes", "--journal", "j"),
        (*CRON, "--journal", "uploads/j"),
        (*FIX, "--yes", "--journal", "../link/j"),
        ("migrate", "index", "--journal", "j"),
    ],
)
def test_nothing_is_written_where_a_web_server_hands_it_out(
    site: Site, words: tuple[str, ...]
) -> None:
    (site.folder / "uploads").mkdir()
    site.folder.with_name("link").symlink_to(site.folder)
    site("init", "--with-tables", "--dsn", "sqlite:///../other.db")
    before, rows = files(site.folder), tables(site.store)
    done = site(*words)
    assert is_one_line(done, 2), done
    assert "a web server may hand out what lies in" in done.err
    assert "name another folder" in done.err
    assert (files(site.folder), tables(site.store)) == (before, rows)
    assert "jane" not in done.err


def test_what_nobody_names_a_place_for_is_made_for_its_owner_alone(site: Site) -> None:
    before, state = files(site.folder), state_of(site.folder)
    said = [
        site(*CRON),
        site(*FIX, "--yes"),
        site("migrate", "import", "--input", "in.jsonl", "--yes"),
        site("migrate", "copy", "--to-dsn", site.dsn, "--to-table-prefix", "x_", "--dry-run"),
        site("migrate", "export", "--output", "../export.jsonl"),
        site("migrate", "archive", "--output", "..", "--yes"),
    ]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert files(state) == dict.fromkeys(
        (
            "wpbridge-wp-cron-lite-wp.journal",
            NAME,
            "wpbridge-import-lite-wp.journal",
            "in.jsonl.rejected.jsonl",
        ),
        "0o600",
    )
    made = {name: mode for name, mode in files(site.folder.parent).items() if "json" in name}
    made.pop("site/in.jsonl")
    assert len(made) == 4, made
    assert set(made.values()) == {"0o600"}
    assert files(site.folder) == before
    told = "".join(one.out for one in said)
    for file in (*state.iterdir(), site.folder.parent / "export.jsonl"):
        assert str(file) in told, f"the full path of {file} is printed"


def test_a_bare_name_is_looked_for_in_the_working_folder_and_then_in_the_state_folder(
    site: Site,
) -> None:
    assert site(*FIX, "--yes").code == 0
    done = site(*FIX, "--undo", NAME)
    assert (done.code, done.lines[0]) == (0, f'ran DROP INDEX "{ACTIONS}__group_id"')
    missing = site(*FIX, "--undo", "none")
    assert is_one_line(missing, 2)
    assert f"no file {site.folder}/none, and no {state_of(site.folder)}/none" in missing.err
    assert is_one_line(site(*FIX, "--undo", "./none"), 2)
    (site.folder / NAME).write_text("somebody's\n")
    (site.folder / NAME).chmod(0o600)
    assert "is no journal" in site(*FIX, "--undo", NAME).err


def test_a_journal_of_version_0_1_in_the_web_site_is_undone_and_closed_to_others(
    site: Site,
) -> None:
    assert site(*FIX, "--yes").code == 0
    old = site.folder / "old.journal"
    old.write_bytes((state_of(site.folder) / NAME).read_bytes())
    old.chmod(0o644)
    done = site(*FIX, "--undo", "old.journal")
    assert (done.code, "ran 1 statement" in done.out) == (0, True)
    assert (stat.S_IMODE(old.stat().st_mode), "move it away" in done.err) == (0o600, True)


# The state folder


def unsafe(kind: str, site: Site) -> tuple[Path, str]:
    """A state folder that is none, and what is said of it."""
    folder = site.folder.with_name("elsewhere")
    match kind:
        case "in the web site":
            return site.folder / "private", "has the file wp-settings.php"
        case "a link into the web site":
            folder.symlink_to(site.folder)
            return folder, "has the file wp-settings.php"
        case "open to others":
            folder.mkdir(mode=0o770)
            return folder, "chmod go-w"
        case "another user's":
            folder.mkdir(mode=0o755)
            with contextlib.suppress(PermissionError):
                os.chown(folder, 4711, 4711)
            return folder, "belongs to the user 4711"
        case _:
            folder.touch()
            return folder, "Not a directory"


@pytest.mark.parametrize(
    "kind",
    ["in the web site", "a link into the web site", "open to others", "another user's", "a file"],
)
def test_without_a_safe_folder_nothing_is_changed(site: Site, kind: str) -> None:
    if kind == "another user's" and os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    folder, words = unsafe(kind, site)
    before, rows = files(site.folder.parent), tables(site.store)
    for command in (CRON, (*FIX, "--yes"), ("migrate", "import", "--input", "in.jsonl", "--yes")):
        done = site(*command, env={"WPBRIDGE_STATE_DIR": str(folder)})
        assert is_one_line(done, 78), done
        assert words in done.err
        assert str(folder) in done.err
        assert "WPBRIDGE_STATE_DIR" in done.err
    assert (files(site.folder.parent), tables(site.store)) == (before, rows)


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"HOME": "HERE/home"}, "home/.local/state/wpbridge"),
        ({"HOME": "HERE/home", "XDG_STATE_HOME": "HERE/xdg"}, "xdg/wpbridge"),
        ({"HOME": "HERE/home", "XDG_STATE_HOME": "relative"}, "home/.local/state/wpbridge"),
        ({"HOME": "HERE/home", "STATE_DIRECTORY": "HERE/unit:HERE/b"}, "unit"),
        ({"HOME": "HERE/site"}, None),
        ({"HOME": "HERE/www"}, None),
        ({"HOME": ""}, None),  # and the user has no other
    ],
)
def test_the_state_folder_of_a_user(
    site: Site, env: Mapping[str, str], place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    here = site.folder.parent
    told = {name: value.replace("HERE", str(here)) for name, value in env.items()}
    done = site(*FIX, "--yes", env={"WPBRIDGE_STATE_DIR": "", **told})
    if place is None:
        assert is_one_line(done, 78), done
        assert not list(here.rglob("*.journal"))
    else:
        assert done.code == 0, done
        assert (here / place / NAME).is_file()


def test_two_servers_with_databases_of_one_name_have_two_journals(site: Site) -> None:
    """One state folder has the journals of all sites that a user works on."""
    other = site.folder.with_name("other")
    other.mkdir()
    assert site(*FIX, "--yes").code == 0
    with sqlite_site(other) as second:
        change(second.store, f'DROP INDEX "{ACTIONS}__group_id"')
        env = {"WPBRIDGE_STATE_DIR": str(state_of(site.folder))}
        assert second(*FIX, "--yes", env=env).code == 0
        assert "is of the site" in second(*FIX, "--undo", NAME, env=env).err
    names = sorted(file.name for file in state_of(site.folder).iterdir())
    assert names == ["wpbridge-schema-lite-wp-2.journal", NAME]
    change(site.store, f'DROP INDEX "{ACTIONS}__args"')
    assert site(*FIX, "--yes").code == 0
    assert sorted(file.name for file in state_of(site.folder).iterdir()) == names


# What an undo believes


def forged(site: Site, **facts: object) -> Done:
    """An undo of a journal whose fix is told otherwise."""
    file = state_of(site.folder) / NAME
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    lines = [line | facts if line.get("by") == "fix" else line for line in lines]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return site(*FIX, "--undo", NAME)


@pytest.mark.parametrize(
    "facts",
    [
        {"made": {"index": "wp_options; DROP TABLE wp_options"}},
        {"made": {"index": "sqlite_autoindex_wp_options_1"}},
        {"made": {"index": ["x"]}},
        {"made": {"column": "hook", "default": "x", "before": None}},
        {"made": {"column": "priority", "default": "10", "before": "1'; DROP TABLE wp_options --"}},
        {"made": {"column": "priority", "default": "11", "before": "10"}},
        {"made": {"column": "x", "default": None, "before": None}},
        {"table": "wp_options"},
        {"table": ["wp_options"]},
        {"made": 1},
    ],
)
def test_an_undo_runs_nothing_that_a_journal_says(site: Site, facts: dict[str, object]) -> None:
    assert site(*FIX, "--yes").code == 0
    indexes = "SELECT name FROM sqlite_master ORDER BY name"
    before = query(site.store, indexes)
    done = forged(site, **facts)
    assert is_one_line(done, 2), done
    assert "tells of what no fix does" in done.err
    assert query(site.store, indexes) == before


def test_the_statement_in_a_journal_of_version_0_1_is_not_run(site: Site) -> None:
    assert site(*FIX, "--yes").code == 0
    done = forged(site, back="DROP TABLE wp_options")
    assert done.out == f'ran DROP INDEX "{ACTIONS}__group_id"\nran 1 statement\n'
    assert query(site.store, "SELECT 1 FROM wp_options")
    # The default from before stands nowhere but in that statement.
    old = {"column": "priority", "default": "10"}
    assert site(*FIX, "--yes").code == 0
    left = forged(site, back="DROP TABLE wp_options", made=old)
    assert (left.code, "left as it is" in left.err) == (1, True)
    assert query(site.store, "SELECT 1 FROM wp_options")


# Errors name the file


def test_a_disk_that_is_full_is_told_with_the_file_and_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rows = files(site.folder.parent), tables(site.store)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        for command, name in (
            (CRON, "wpbridge-wp-cron-lite-wp.journal"),
            ((*FIX, "--yes"), NAME),
            (("migrate", "archive", "--output", "..", "--yes"), "jsonl.gz.journal"),
        ):
            done = site(*command)
            assert is_one_line(done, 2), done
            assert name in done.err
            assert "No space left on device" in done.err
    assert list(state_of(site.folder).iterdir()) == []
    state_of(site.folder).rmdir()
    assert (files(site.folder.parent), tables(site.store)) == (before, rows)
    device = site("migrate", "export", "--output", "/dev/full")
    assert is_one_line(device, 2)
    assert "--output /dev/full: No space left on device" in device.err


def test_a_working_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r});"
    code += "import sys; from wpbridge.cli.main import cli; cli()"
    for words in (("status",), ("migrate", "export", "--output", "q")):
        gone.mkdir()
        done = _python(code, *words, cwd=tmp_path)
        assert (done.code, done.err.count("\n")) == (78, 1), done
        assert "the working folder is gone" in done.err


def _python(code: str, *words: str, cwd: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=cwd,
        env=clean_env(cwd),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_home_that_is_anothers_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As sudo leaves it: HOME is root's, and the settings in it cannot even be looked for."""

    def refuse(_place: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "is_file", refuse)
    told = "wpbridge.toml cannot be looked at: Permission denied; go to another folder, or name"
    with pytest.raises(ConfigError, match=re.escape(told)):
        load({}, {"HOME": "/root"}, tmp_path)
    monkeypatch.setattr(Path, "is_file", lambda place: place.parent != tmp_path and refuse(place))
    told = "wpbridge.toml cannot be looked at: Permission denied; set HOME to your own folder, or"
    with pytest.raises(ConfigError, match=re.escape(told)):
        load({}, {"HOME": "/root"}, tmp_path)


@pytest.mark.parametrize("option", ["ssl_ca", "ssl_cert", "ssl_key"])
@pytest.mark.parametrize("kind", ["missing", "folder", "no PEM"])
def test_a_file_for_tls_that_cannot_be_used_is_told(tmp_path: Path, option: str, kind: str) -> None:
    file = tmp_path / "pem"
    if kind == "folder":
        file.mkdir()
    elif kind == "no PEM":
        file.write_text("hello")
    more = f"&ssl_cert={file}" if (option, kind) == ("ssl_key", "no PEM") else ""
    done = wpbridge(
        "status", "--dsn", f"mysql://u@127.0.0.1:1/d?{option}={file}{more}", cwd=tmp_path
    )
    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done
    assert f"{option} {file}" in done.stderr
