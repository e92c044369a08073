"""Commands that only look run no code of the settings file; one test for all, in this process."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wpbridge.cli.main import cli


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A queue with one action, and settings that name a module which leaves a mark when it runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WPBRIDGE_DSN", f"sqlite:///{tmp_path}/q.db")
    invoke("init")
    invoke("enqueue", "shop_a")
    (tmp_path / "wpbridge.toml").write_text('[run]\nhandlers = ["marks_itself"]\n')
    (tmp_path / "marks_itself.py").write_text(
        "from pathlib import Path\nfrom wpbridge import hook\n"
        "Path(__file__).with_name('ran').touch()\n@hook('shop_a')\ndef a(): pass\n"
    )
    return tmp_path


def invoke(*words: str) -> str:
    return CliRunner().invoke(cli, words).output


LOOKS = [
    "status",
    "advise",
    "list",
    "get 1",
    "logs 1",
    "next shop_a",
    "stats",
    "failures",
    "claims",
    "hooks",
    "explain 1",
    "doctor",
    "check",
    "config show",
    "pause",
    "enqueue shop_a --dry-run",
]


@pytest.mark.parametrize("words", LOOKS)
def test_looking_imports_no_handlers(folder: Path, words: str) -> None:
    told = invoke(*words.split())
    assert "Traceback" not in told
    assert not (folder / "ran").exists()


def test_what_is_not_known_then_is_said(folder: Path) -> None:
    note = (
        "wpbridge.toml names marks_itself; this command does not load it: give --handlers"
        " marks_itself"
    )
    assert note in invoke("explain", "1")
    assert note in invoke("hooks")
    assert note in invoke("check")
    assert note in invoke("doctor", "-v")
    done = CliRunner().invoke(cli, ["hooks", "--format", "json"])
    [line] = json.loads(done.stdout)
    assert (line["hook"], line["to"]) == ("shop_a", "unknown")
    codes = [
        reason["code"]
        for reason in json.loads(invoke("explain", "1", "--format", "json"))["reasons"]
    ]
    assert "handlers-not-loaded" in codes
    assert "no-handler" not in codes


@pytest.mark.parametrize("words", ["hooks", "explain 1", "check", "doctor"])
def test_handlers_that_are_named_are_loaded(folder: Path, words: str) -> None:
    told = invoke(*words.split(), "--handlers", "marks_itself")
    assert "does not load" not in told


@pytest.mark.parametrize("words", ["hooks", "work --dry-run", "check", "doctor", "install cron"])
@pytest.mark.parametrize("name", ["marks_itself.py", "./marks_itself.py", "{folder}/marks_itself"])
def test_a_file_in_the_place_of_a_module_is_told(folder: Path, words: str, name: str) -> None:
    told = invoke(*words.split(), "--handlers", name.format(folder=folder))
    assert "name the module without .py: --handlers marks_itself, from its folder" in told
    assert len(told.splitlines()) == 1
    assert not (folder / "ran").exists()


def test_a_variable_that_names_handlers_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WPBRIDGE_HANDLERS", "marks_itself,other")
    told = "WPBRIDGE_HANDLERS names marks_itself,other; this command does not load them: give"
    assert told in invoke("hooks")
    assert not (folder / "ran").exists()
