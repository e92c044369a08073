"""The command line from tests: in this process, as one of its own, and on a terminal."""
# ruff: noqa: A002 - input is what subprocess and click call it

import contextlib
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

import warm
from databases import empty_queue
from rows import query
from stores import AnyStore, open_store
from wpbridge.cli.main import cli
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

COMMAND = (sys.executable, "-m", "wpbridge")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True, slots=True)
class Site:
    """A queue, and the folder that commands run in."""

    dsn: str
    folder: Path
    store: RunnerStore

    def __call__(
        self,
        *arguments: str,
        input: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """In this process: quick, for all but signals, terminals and streams."""
        return call(*arguments, cwd=self.folder, input=input, env={**self.env, **(env or {})})

    def ok(self, *arguments: str, input: str | bytes | None = None) -> str:
        """Standard output of a command that must do its work and say nothing beside it."""
        done = self(*arguments, input=input)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def process(
        self, *arguments: str, input: str | None = None, env: Mapping[str, str] | None = None
    ) -> Done:
        """As a process of its own."""
        done = wpbridge(*arguments, cwd=self.folder, input=input, env={**self.env, **(env or {})})
        return Done(done.returncode, done.stdout, done.stderr)

    def terminal(
        self,
        *arguments: str,
        answer: str = "",
        columns: int = 200,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """On a terminal, whose user gives this answer to the first question."""
        return on_terminal(
            *arguments,
            cwd=self.folder,
            env={**self.env, **(env or {})},
            answer=answer,
            columns=columns,
        )

    @property
    def env(self) -> dict[str, str]:
        return {"WPBRIDGE_DSN": self.dsn}


@contextlib.contextmanager
def sqlite_site(folder: Path) -> Iterator[Site]:
    """A queue on SQLite, copied from one that is made once: most tests of flags need no more."""
    dsn = empty_queue(folder / "lite.db")
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        yield Site(dsn, folder, store)
    finally:
        store.close()


def wpbridge(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process."""
    command = [*COMMAND, *arguments]
    return warm.run(command, cwd=cwd, env=clean_env(cwd, env), input=input or "", text=True)


def call(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,
) -> Done:
    """Run the command in this process; an error that nobody catches is the test's own."""
    wanted = clean_env(cwd, env)
    gone = dict.fromkeys(name for name in os.environ if name not in wanted)
    with contextlib.chdir(cwd), _own_modules(cwd):
        result = CliRunner(env={**gone, **wanted}).invoke(
            cli, list(arguments), input=input, prog_name="wpbridge", catch_exceptions=False
        )
    return Done(result.exit_code, result.stdout, result.stderr)


@contextlib.contextmanager
def _own_modules(folder: Path) -> Iterator[None]:
    """Handlers of one test are not those of the next, though they have the same name."""
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(folder)):
            del sys.modules[name]


INTERRUPT = "\x03"
MOST_PRESSES = 30


def on_terminal(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    answer: str = "",
    columns: int = 200,
) -> Done:
    """Run the command with a terminal as all three of its streams; all it says is in ``out``.

    It is the process's own terminal: a Ctrl-C (``\x03``) as the answer interrupts it. No Enter
    follows that one: under load it may be read before the signal arrives, and then says no. A
    signal that arrives just before the process waits for input does not end the wait, so Ctrl-C is
    pressed again, as a person would.
    """
    ours, its = pty.openpty()
    wanted = {**clean_env(cwd, env), "COLUMNS": str(columns), "TERM": "xterm-256color"}
    parts: list[bytes] = []
    with warm.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=wanted,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        try:
            presses = 0
            while True:
                is_pressing = 0 < presses < MOST_PRESSES
                if not select.select([ours], [], [], 2 if is_pressing else 60)[0]:
                    if not is_pressing:
                        break
                    presses += 1
                    os.write(ours, INTERRUPT.encode())
                    continue
                if not (part := os.read(ours, 65536)):
                    break
                parts.append(part)
                if answer and b"?" in b"".join(parts):
                    presses = int(answer == INTERRUPT)
                    os.write(ours, answer.encode() + b"\n" * (not presses))
                    answer = ""
        except OSError:
            pass  # The other end is closed: Linux says EIO.
        code = process.wait(timeout=300)
    os.close(ours)
    return Done(code, b"".join(parts).decode().replace("\r\n", "\n"), "")


def clean_env(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without settings: nobody's own file or variable changes what a test sees."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WPBRIDGE_", "XDG_"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CLICOLOR"):
        kept.pop(name, None)
    return {**kept, "HOME": str(home), "WPBRIDGE_STATE_DIR": str(state_of(home)), **(more or {})}


def state_of(home: Path) -> Path:
    """The state folder of a test's commands: beside their folder, which may be a web site's."""
    return home.with_name(f"{home.name}.state")


def tables(store: AnyStore) -> dict[str, list[Sequence[object]]]:
    """Every row of every table: what must be the same after a dry run."""
    dialect = store.parts.dialect if isinstance(store, RunnerStore) else store.dialect
    names = store.session.run(dialect.tables)
    return {
        name: sorted(map(tuple, query(store, f"SELECT * FROM {name}")), key=repr) for name in names
    }


def is_one_line(done: Done, code: int) -> bool:
    """Whether a command ended so, with one line that says why, and nothing else."""
    return (
        done.code == code
        and not done.out
        and done.err.startswith("wpbridge: ")
        and done.err.count("\n") == 1
    )
