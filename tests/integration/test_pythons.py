"""wpbridge on each Python that is here: all modules are imported, and a queue is run.

``scripts/test --pythons`` runs the unit and contract tests on each, too.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

import pythons

DEBIAN = "Debian's"
FOUND = pythons.found()
ACTS = """
from pathlib import Path
from wpbridge import hook

@hook("greet")
def greet(name):
    Path(name).write_text("greeted")

@hook("alone", isolate=True, timeout=60)
def alone(name):
    Path(name).write_text("greeted")
"""
IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import wpbridge
failed = {}
names = [one.name for one in pkgutil.walk_packages(wpbridge.__path__, "wpbridge.")]
for name in names:
    if name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # An extra, which is not there.
        if error.name.startswith("wpbridge"):
            failed[name] = str(error)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps([len(names), failed]))
"""


def place_of(version: str) -> Path:
    """A Python, or else the test is left out."""
    if version == DEBIAN:
        place = Path("/usr/bin/python3")
        done = subprocess.run(
            [place, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False
        )
        if done.returncode:
            pytest.skip("the system's Python is older than 3.11, or there is none")
        return place
    if version not in FOUND:
        pytest.skip(f"there is no Python {version} here, and no apt or pyenv that has it")
    return FOUND[version]


@pytest.mark.parametrize("version", [*pythons.WANTED, DEBIAN])
def test_it_runs_a_queue_there(single_file: Path, version: str, tmp_path: Path) -> None:
    python = place_of(version)
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            # Without what else is installed there.
            [python, "-I", "-S", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(single_file, "--version")
    [home] = (tmp_path / ".cache" / "wpbridge").iterdir()
    # What a newer Python warns of, the one after it refuses.
    warned = ("-W", "error::SyntaxWarning", "-W", "error::DeprecationWarning:wpbridge")
    count, failed = json.loads(run(*warned, "-c", IMPORT_ALL, home))
    assert count > 400
    assert failed == {}
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    (tmp_path / "acts.py").write_text(ACTS, "utf-8")
    run(single_file, "init", "--dsn", dsn)
    for name in ("greet", "alone"):
        run(single_file, "enqueue", name, "--args", f'["{name}.txt"]', "--dsn", dsn)
    told = run(single_file, "claim-and-run", "--dsn", dsn, "--handlers", "acts")
    assert told.startswith("claimed 2, complete 2, failed 0 in ")
    assert {"greet.txt", "alone.txt"} <= {file.name for file in tmp_path.iterdir()}
