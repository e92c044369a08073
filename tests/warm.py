"""Processes of wpbridge that begin at once: forks of one that has imported everything.

A fresh interpreter takes 0.2 s of CPU and more before a command begins. A fork is a process as
good: a child of the test's process, with its own pid, streams, folder, variables and exit code, that
runs ``python -m wpbridge`` from there on, and can be signalled and killed. What only a fresh
interpreter shows (how it starts, what it imports, what ``/proc`` tells of its command line and its
variables) needs :mod:`subprocess`.
"""

import atexit
import contextlib
import ctypes
import fcntl
import functools
import gc
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

LONGEST_BYTES = 100_000
"""Longer requests are left to a fresh interpreter."""
_BECOME_SUBREAPER = 36


class Popen(subprocess.Popen[Any]):
    """A process that is forked where :class:`subprocess.Popen` would start an interpreter."""

    def _execute_child(self, args: Sequence[str], executable: Any, *rest: Any) -> None:
        preexec, _, passed, cwd, env = rest[:5]
        ends = rest[8:14]
        wanted = {
            "words": [str(word) for word in args[1:]],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "umask": _umask(),
            "parent": os.getpid(),
            "session": rest[-2],
        }
        told = json.dumps(wanted).encode()
        is_ours = args[0] == sys.executable and is_program(wanted["words"])
        is_like_us = interpreter_words(wanted["env"]) == interpreter_words(os.environ)
        if not is_ours or not is_like_us or preexec or passed or len(told) > LONGEST_BYTES:
            super()._execute_child(args, executable, *rest)  # type: ignore[misc]
            return
        streams = [n if end == -1 else end for n, end in enumerate((ends[0], ends[3], ends[5]))]
        self.pid = _fork(told, streams)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]


def run(
    command: Sequence[str | Path],
    *,
    input: str | None = None,  # noqa: A002 - as subprocess calls it
    timeout: float = 300,
    capture_output: bool = True,
    check: bool = False,
    text: bool = True,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as :func:`subprocess.run` does with text."""
    pipe = subprocess.PIPE if capture_output else None
    stdin = None if input is None else subprocess.PIPE
    with Popen(list(command), stdin=stdin, stdout=pipe, stderr=pipe, text=text, **more) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(list(command), process.returncode, out or "", err or "")
    if check:
        done.check_returncode()
    return done


def is_program(words: Sequence[str]) -> bool:
    """Whether these words for an interpreter are wpbridge or a file."""
    return words[:2] == ["-m", "wpbridge"] or words[0].endswith(".py")


def interpreter_words(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that an interpreter reads when it starts."""
    return {
        k: v
        for k, v in env.items()
        if k.startswith(("PYTHON", "LC_", "LANG")) and k != "PYTHONPATH"
    }


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _fork(told: bytes, streams: Sequence[int]) -> int:
    """Ask for a process. For a moment, we are who adopts orphans: so it becomes our child."""
    channel = _source()
    with _adopting():
        socket.send_fds(channel, [told], streams)
        pid = int(channel.recv(100))
        # Its parent has ended: now it is ours.
        assert channel.recv(100)
        return pid


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_BECOME_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_BECOME_SUBREAPER, 0, 0, 0, 0)


@functools.cache
def _source() -> socket.socket:
    """The way to the process that has imported everything; it ends when nobody can ask it."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * LONGEST_BYTES)
    with its:
        command = [sys.executable, __file__, str(its.fileno())]
        source = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    # It is nobody's to wait for: it ends with us.
    source.returncode = 0
    atexit.register(ours.close)
    return ours


# The process that is forked


def serve(channel: socket.socket) -> None:
    """Fork for each request; returns in the fork, which then has to run the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pytest  # noqa: F401, PLC0415 - programs of tests may use it

    import wpbridge  # noqa: PLC0415 - in this process only
    from wpbridge import cli  # noqa: PLC0415

    begin = cli.main
    _import_all(wpbridge.__path__, "wpbridge.")
    # What commands load only when they need it.
    for name in ("requests", "rich.console", "rich.progress", "rich.text", "yaml"):
        import_module(name)
    # The module of that name has hidden it.
    setattr(cli, "main", begin)  # noqa: B010
    gc.freeze()
    while True:
        told, streams, _, _ = socket.recv_fds(channel, 2 * LONGEST_BYTES, 3)
        if not told:
            os._exit(0)
        if between := os.fork():
            os.waitpid(between, 0)
            channel.send(b"ended")
        elif pid := os.fork():
            channel.send(str(pid).encode())
            os._exit(0)
        else:
            channel.close()
            become(json.loads(told), streams)
            return
        for stream in streams:
            os.close(stream)


def _import_all(folders: Iterable[str], prefix: str) -> None:
    for module in pkgutil.iter_modules(folders, prefix):
        # These two read settings or run a command as soon as they are imported.
        if module.name in {"wpbridge.__main__", "wpbridge.celery_app"}:
            continue
        # Extras, such as the driver in C, need not be installed.
        with contextlib.suppress(ModuleNotFoundError):
            found = import_module(module.name)
            if module.ispkg:
                _import_all(found.__path__, f"{module.name}.")


def become(wanted: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be as a fresh ``python -m wpbridge`` would be."""
    while os.getppid() != wanted["parent"]:
        time.sleep(0.0002)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if wanted["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(wanted["env"])
    time.tzset()
    os.umask(wanted["umask"])
    os.chdir(wanted["cwd"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, max([*streams, 3]) + 1)
    if wanted["session"] and os.isatty(0):
        # As `setsid --ctty` does: it has its terminal to itself, unless that is another session's.
        with contextlib.suppress(PermissionError):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        text = _text(number, getattr(sys, name), mode)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    words = wanted["words"]
    is_module = words[0] == "-m"
    sys.path[0] = wanted["cwd"] if is_module else str(Path(words[0]).parent)
    sys.path[1:1] = [
        place for place in wanted["env"].get("PYTHONPATH", "").split(os.pathsep) if place
    ]
    sys.argv = words[1:] if is_module else words


def _text(number: int, like: Any, mode: str) -> Any:
    """A standard stream as the interpreter makes it."""
    plain = mode == "w" and bool(os.environ.get("PYTHONUNBUFFERED"))
    raw = open(number, f"{mode}b", buffering=0 if plain else -1, closefd=False)  # noqa: SIM115
    is_live = mode == "w" and not plain and (number == 2 or os.isatty(number))
    return io.TextIOWrapper(
        raw,
        like.encoding,
        like.errors,
        newline=None if mode == "r" else "\n",
        line_buffering=is_live,
        write_through=plain,
    )


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    if sys.argv[0] == "wpbridge":
        runpy.run_module("wpbridge", run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
