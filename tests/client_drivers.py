"""Both clients of the gateway, driven by the same commands: Python here, TypeScript in node."""

import contextlib
import json
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from wpbridge.client import Client, Job, NewJob, Problem
from wpbridge.client.retrying import pause, retry_after_of
from wpbridge.errors import WpbridgeError

FOLDER: Final = Path(__file__).parent.parent / "clients" / "typescript"
COMPILER: Final = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
NOT_A_NUMBER: Final = "$NaN"
"""What stands for NaN in a command, since JSON has none."""


class Failed(Exception):
    """What a client raised: its class and its fields."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(json.dumps(told))
        self.name: str = told["name"]
        self.status: int = told.get("status", 0)
        self.kind: str = told.get("kind", "")
        self.type: str = told.get("type", "")
        self.field: str = told.get("field", "")
        self.detail: str = told.get("detail", "")
        self.retry_after: float | None = told.get("retryAfter")
        self.more: dict[str, Any] = told.get("more", {})


class Driver(Protocol):
    """Runs commands with one kind of client."""

    def ask(self, client: Mapping[str, Any], do: str, *given: Any) -> Any:
        """Do something with a client of these options; raise Failed for what it raises."""
        ...


def missing_node() -> str | None:
    """What is missing for the TypeScript client; None for nothing."""
    if shutil.which("node") is None:
        return "node is not installed (scripts/setup servers, or apt-get install nodejs npm)"
    if not COMPILER.exists():
        return f"typescript is not installed (scripts/setup servers, or npm ci in {FOLDER.name})"
    return None


def build(folder: Path) -> None:
    """Compile the TypeScript client into a folder; a warning fails."""
    done = subprocess.run(
        ["node", str(COMPILER), "-p", str(FOLDER), "--outDir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # As the package's own package.json says it.
    (folder / "package.json").write_text('{"type": "module"}')


def install_client(project: Path) -> None:
    """Build the client into a project's folder, as npm would install it there."""
    package = project / "node_modules" / "wpbridge-client"
    (package / "dist").mkdir(parents=True)
    build(package / "dist")
    exports = {".": {"types": "./dist/index.d.ts", "default": "./dist/index.js"}}
    module = {"name": "wpbridge-client", "type": "module", "exports": exports}
    (package / "package.json").write_text(json.dumps(module))


class InPython:
    """The Python client."""

    def ask(self, client: Mapping[str, Any], do: str, *given: Any) -> Any:
        """Do it here."""
        given = tuple(_revived(one) for one in given)
        try:
            with Client(
                client["url"],
                client["key"],
                timeout=client.get("timeoutSeconds", 10),
                patience=client.get("patienceSeconds", 60),
            ) as it:
                assert client["key"] not in repr(it) + str(vars(it))
                return _COMMANDS[do](it, *given)
        except WpbridgeError as error:
            told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
            assert not client["key"] or client["key"] not in told
            raise Failed(_told(error)) from None


def _told(error: WpbridgeError) -> dict[str, Any]:
    found: dict[str, Any] = {"name": type(error).__name__, "message": str(error)}
    if isinstance(error, Problem):
        names = ("status", "type", "kind", "field", "detail", "more")
        found |= {name: getattr(error, name) for name in names}
        found["retryAfter"] = error.retry_after
    return found


def _revived(told: Any) -> Any:
    if isinstance(told, list):
        return [_revived(one) for one in told]
    if isinstance(told, dict):
        return {name: _revived(one) for name, one in told.items()}
    return float("nan") if told == NOT_A_NUMBER else told


def _renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"in_" if name == "in" else name: value for name, value in options.items()}


def _enqueue(client: Client, hook: str, args: Any = (), options: Mapping[str, Any] = {}) -> Any:
    return client.enqueue(hook, args, **_renamed(options)).document


def _many(
    client: Client, jobs: Sequence[Mapping[str, Any]], options: Mapping[str, Any] = {}
) -> Any:
    made = client.enqueue_many((NewJob(**_renamed(job)) for job in jobs), **options)
    return [job.document for job in made]


def _events(client: Client, job: str) -> Any:
    return [
        {"id": one.id, "kind": one.kind, "job": one.job.document, "result": one.result}
        for one in client.events(job)
    ]


def _document(method: str) -> Callable[..., Any]:
    def command(client: Client, *given: Any) -> Any:
        found: Job = getattr(client, method)(*given)
        return found.document

    return command


def _retry_after(_: Client, told: str, now: str) -> float | None:
    return retry_after_of({"Retry-After": told}, datetime.fromisoformat(now))


_COMMANDS: Final[Mapping[str, Callable[..., Any]]] = {
    "enqueue": _enqueue,
    "enqueueMany": _many,
    "get": _document("get"),
    "wait": _document("wait"),
    "cancel": _document("cancel"),
    "result": lambda client, job: client.result(job),
    "events": _events,
    "jobs": lambda client, page: [job.document for job in client.jobs(page=page)],
    "pause": lambda _, *given: pause(*given),
    "retryAfterOf": _retry_after,
}


class InNode:
    """The TypeScript client, in a process of its own that reads commands as lines."""

    def __init__(self, built: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(FOLDER / "test" / "driver.mjs"), str(built)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, client: Mapping[str, Any], do: str, *given: Any) -> Any:
        """Do it there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"client": client, "do": do, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert not client["key"] or client["key"] not in line
        told = json.loads(line)
        if "error" in told:
            raise Failed(told["error"])
        return told.get("value")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextlib.contextmanager
def in_node(built: Path) -> Iterator[InNode]:
    """The TypeScript client until the block ends."""
    with contextlib.closing(InNode(built)) as driver:
        yield driver
