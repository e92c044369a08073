"""``completion``: scripts that the shells take, and what the tab key then offers."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from cli_helpers import COMMAND, call, clean_env, wpbridge
from wpbridge.cli.main import cli

SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_one_that_the_shell_reads(shell: str, tmp_path: Path) -> None:
    done = call("completion", shell, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "wpbridge" in done.out
    assert f"_WPBRIDGE_COMPLETE={shell}_complete" in done.out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(done.out, encoding="utf-8")
    checked = subprocess.run(
        [*SHELLS[shell], str(script)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def completed(folder: Path, *words: str) -> list[str]:
    """What bash would offer for the last of the words."""
    env = {
        "_WPBRIDGE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("wpbridge", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = call(cwd=folder, env=env)
    assert (done.code, done.err) == (0, "")
    return [line.split(",", 1)[1] for line in done.lines]


def test_every_command_is_offered(tmp_path: Path) -> None:
    assert completed(tmp_path, "") == cli.list_commands(click.Context(cli))
    found = completed(tmp_path, "re")
    assert found == ["relay", "requeue", "reschedule", "resume", "release-claims"]


def test_options_and_their_values_are_offered(tmp_path: Path) -> None:
    assert {"--order", "--order-by"} <= set(completed(tmp_path, "list", "--order"))
    assert completed(tmp_path, "list", "--format", "j") == ["json", "jsonl"]
    assert completed(tmp_path, "stats", "--by", "") == ["hook", "group", "hour", "status"]
    assert completed(tmp_path, "completion", "") == ["bash", "zsh", "fish"]
    assert "--dsn" in completed(tmp_path, "--d")
    assert completed(tmp_path, "wp", "") == ["install-plugin"]


def test_the_tab_key_of_bash(tmp_path: Path) -> None:
    """The script itself, with a wpbridge on the path, asked as bash asks it."""
    (tmp_path / "wpbridge").write_text(
        f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n', encoding="utf-8"
    )
    (tmp_path / "wpbridge").chmod(0o755)
    script = wpbridge("completion", "bash", cwd=tmp_path).stdout
    asked = f'{script}\nCOMP_WORDS=(wpbridge relea); COMP_CWORD=1; _wpbridge_completion wpbridge relea wpbridge; echo "${{COMPREPLY[@]}}"'
    env = clean_env(tmp_path)
    done = subprocess.run(
        ["bash", "-c", asked],
        cwd=tmp_path,
        env={**env, "PATH": f"{tmp_path}:{env['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "release-claims\n", done


def test_completion_needs_no_site_and_no_settings(tmp_path: Path) -> None:
    (tmp_path / "wpbridge.toml").write_text("nonsense", encoding="utf-8")
    assert call("completion", "bash", cwd=tmp_path).code == 0
    assert completed(tmp_path, "can") == ["cancel"]
