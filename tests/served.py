"""The gateway as a process of its own, seen as its operators and clients see it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from stores import open_store
from wpbridge.access import changing
from wpbridge.access.keys import Allowed
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.rules import RIGHTS

DEADLINE_SECONDS = 60.0


def headers_for(dsn: str, name: str = "served") -> dict[str, str]:
    """Add a key that allows everything; the headers of who has it."""
    with closing(open_store(DatabaseAddress.from_dsn(dsn), "wp_")) as store:
        allowed = Allowed(rights=RIGHTS, hooks=("*",), groups=("*",))
        key = changing.add(store.parts, name, allowed, expires=None, who="cli:test")
    return {"Authorization": f"Bearer {key.text}", "Content-Type": "application/json"}


class Served:
    """A gateway in a process of its own."""

    def __init__(
        self, folder: Path, dsn: str, *flags: str, command: Sequence[str], program: Sequence[str]
    ) -> None:
        self.folder = folder
        site = ("--dsn", dsn) if dsn else ()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        with (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *program, *command, *site, *flags],
                cwd=folder,
                env={**clean, "XDG_RUNTIME_DIR": str(folder), "PYTHONWARNINGS": "error"},
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self.lines: list[str] = []
        self._is_over = False
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._news = threading.Condition()
        self._ear.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._news:
                    self.lines.append(line.decode())
                    self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def told(self, word: str, times: int = 1) -> str:
        """Wait for a line on stderr with this word."""

        def found() -> list[str]:
            return [line for line in self.lines if word in line][times - 1 :]

        with self._news:
            self._news.wait_for(lambda: found() or self._is_over, DEADLINE_SECONDS)
            assert found(), (word, self.lines)
            return found()[0]

    @property
    def url(self) -> str:
        return self.told("listening on http").split()[-1]

    def code(self) -> int:
        code = self.process.wait(DEADLINE_SECONDS)
        self._ear.join()
        return code


@contextlib.contextmanager
def served(
    folder: Path,
    dsn: str,
    *flags: str,
    command: Sequence[str] = ("serve",),
    program: Sequence[str] = ("-m", "wpbridge"),
) -> Iterator[Served]:
    """Run one until the end of the block, if it has not ended before."""
    found = Served(folder, dsn, *flags, command=command, program=program)
    try:
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.process.pid, signal.SIGKILL)
        found.code()
