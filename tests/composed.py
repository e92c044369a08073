"""Compose files, started by podman-compose."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from containers import Container, Podman

PROGRAM = Path(sys.executable).parent / "podman-compose"


def missing_compose() -> str | None:
    """Why no compose file can be started here; None where one can."""
    if PROGRAM.exists():
        return None
    return "podman-compose is not installed (pip install podman-compose)"


class Project:
    """The services of a compose file."""

    def __init__(
        self, podman: Podman, folder: Path, *files: str, env: Mapping[str, str] | None = None
    ) -> None:
        self._podman, self._folder = podman, folder
        self._env = {**os.environ, **(env or {})}
        self._program = podman.script(folder)
        self.name = f"wpbridge-test-{os.getpid()}-{time.monotonic_ns()}"
        self._files = [word for file in files for word in ("--file", file)]

    def compose(self, *words: str) -> str:
        # Podman would mount more into a read-only root than Docker does.
        run = [str(PROGRAM), "--podman-path", str(self._program)]
        run += ["--podman-run-args=--read-only-tmpfs=false"]
        done = subprocess.run(
            [*run, "--project-name", self.name, *self._files, *words],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def service(self, name: str) -> Container:
        return Container(self._podman, f"{self.name}_{name}_1")
