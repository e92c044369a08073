"""A terminal in which a test types what a page tells to type."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import warm
from cli_helpers import state_of
from fences import fences


def write_files(page: Path, folder: Path) -> None:
    """Write the page's first settings file and handlers, by the names that it tells."""
    lines = page.read_text("utf-8").splitlines()
    for language in ("toml", "python"):
        fence = next(one for one in fences(page) if one.language == language)
        named = re.findall(r"`(\w+\.\w+)`", "\n".join(lines[: fence.at - 2]))
        (folder / named[-1]).write_text(fence.text)


class Shell:
    """A terminal in the page's folder, which keeps its variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = folder.parent / "bin"
        bin_folder.mkdir()
        shim = bin_folder / "wpbridge"
        shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m wpbridge "$@"\n')
        shim.chmod(0o755)
        self.variables = folder.parent / "variables"
        self.variables.touch()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        path = f"{bin_folder}:{os.environ['PATH']}"
        state = state_of(folder)
        state.mkdir(mode=0o700, exist_ok=True)
        self.env = {**clean, "PATH": path, "WPBRIDGE_STATE_DIR": str(state)}

    def run(self, text: str) -> str:
        """Type a block; return what it prints."""
        keep = f". {self.variables}\nset -eo pipefail\n{text}\nexport -p > {self.variables}"
        done = subprocess.run(
            ["bash", "-c", keep],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        output = f"{text}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, output
        # `export X=$(…)` ends with 0 whatever happened inside.
        assert "wpbridge: " not in done.stderr, output
        return done.stdout

    @contextmanager
    def started(self, line: str, *more: str) -> Iterator[str]:
        """Start what runs until it is stopped. Gives its first line on stderr."""
        assert line.split(maxsplit=1)[0] == "wpbridge"
        process = warm.Popen(
            [sys.executable, "-m", *line.split(), *more],
            cwd=self.folder,
            env=self.env,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            yield process.stderr.readline().decode()
        finally:
            process.terminate()
            process.communicate()
