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
    note = "handlers not loaded: marks_itself (name them: --handlers marks_itself)"
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
    assert "not loaded" not in told
