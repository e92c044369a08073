"""Follows pages as their reader does: writes their files, types their commands, reads what comes.

- A paragraph that ends with a file in backticks and a colon writes the fence below it into that
  file; one that begins with "Add" adds it to the end.
- In a fence with `console`, lines that begin with `$ ` are typed, and the lines below each are what
  it prints, standard error too. `...` stands for anything, in a line or for lines. Numbers that
  differ from run to run are compared as :func:`plain` says. Lines that begin with `# ` are root's
  and not typed.
- Below a line that speaks of a "second terminal" (or a third), what is typed goes on running until
  the page ends, as at Ctrl-C.
"""

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import warm
from daemons import until
from fences import Fence, fences
from page_shell import Shell

WRITES: Final = "WPBRIDGE_TUTORIAL_WRITE" in os.environ
"""Whether pages get what commands print now, for somebody who has changed what they print."""
READS: Final = (
    *("wpbridge list", "wpbridge status", "wpbridge probe", "wpbridge explain", "curl "),
    # It tells what it finds once, and an action that a runner has in hand is not due.
    "wpbridge watch --once",
)
"""Commands that may be typed again: they show what another process does meanwhile."""
PLACEHOLDERS: Final = {
    r"\s+": " ",
    r"20[12]\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?": "TIME",
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}": "UUID",
    r"\b(pid \(?|action |action: |explain |\w+_id\W{1,3}|\w*pid=)\d+\b": r"\1N",
    r"\b\d+(?:\.\d+)?(?= (?:s|ms|MB|kB|B)\b)": "N",
    r"(?<=\bin )\d+(?:\.\d+)? s\b": "N s",
    r"-{2,}": "--",
}
"""What differs from run to run, and what stands for it when texts are compared."""


@dataclass(frozen=True)
class Step:
    """Something that the reader does: a fence, and the line above it that says how."""

    page: Path
    line: str
    fence: Fence

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.fence.at}"

    @property
    def file(self) -> str | None:
        """The file into which the fence is written."""
        named = re.search(r"`([\w./-]+)`[^`]*:$", self.line)
        return named[1] if named and self.fence.language != "console" else None

    @property
    def commands(self) -> list[tuple[str, str]]:
        """What is typed, each with what it prints; a command may go on in lines with `\\`."""
        if self.fence.language != "console":
            return []
        found: list[tuple[str, str]] = []
        lines = iter(self.fence.text.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = line.removeprefix("$ ")
                while command.endswith("\\"):
                    command += "\n" + next(lines)
                found.append((command, ""))
            elif found:
                command, output = found[-1]
                found[-1] = (command, f"{output}{line}\n")
        return found


def steps(page: Path) -> Iterator[Step]:
    lines = page.read_text("utf-8").splitlines()
    for fence in fences(page):
        above = (line.strip() for line in reversed(lines[: fence.at - 2]) if line.strip())
        yield Step(page, next(above, ""), fence)


def plain(text: str) -> str:
    """Return a text without what differs from run to run."""
    for pattern, name in PLACEHOLDERS.items():
        text = re.sub(pattern, name, text)
    return text.strip()


def fits(told: str, found: str) -> bool:
    """Tell whether a command has printed what a page says."""
    pattern = re.escape(f" {plain(told)} ")
    pattern = pattern.replace(r"\ \.\.\.\ ", r"(?:\ .*)?\ ").replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, f" {plain(found)} ", re.DOTALL) is not None


def on_any_port(words: list[str]) -> tuple[list[str], str | None]:
    """Return a command that listens where there is room, and the address that it had before."""
    assert words[0] == "wpbridge", words
    given = next((word for word in words if word.startswith("127.0.0.1:")), None)
    if given:
        return ["127.0.0.1:0" if word == given else word for word in words], given
    if words[1] == "serve":
        return [*words, "--listen", "127.0.0.1:0"], "127.0.0.1:8787"
    return words, None


def write(step: Step, number: int, command: str, told: str, found: str) -> None:
    """Put what a command has printed into its page: below the fence's command of that number."""
    page = step.page.read_text("utf-8")
    fence = next(one.fence.text for one in steps(step.page) if one.line == step.line)
    assert page.count(fence) == 1
    start = -1
    for _ in range(number + 1):
        start = fence.index("$ ", start + 1)
    end = start + len(f"$ {command}\n")
    shown = "\n".join(_set_out(found.rstrip().splitlines())) + "\n" if found.strip() else ""
    changed = f"{fence[:end].rstrip()}\n{shown}{fence[end + len(told) :]}".rstrip()
    step.page.write_text(page.replace(fence, changed), "utf-8")


def _set_out(lines: Sequence[str]) -> Iterator[str]:
    """As a terminal that is wide enough shows a table."""
    rows = [line.split("\t") for line in lines]
    for row in rows:
        widths = [max(len(one[n]) for one in rows if len(one) == len(row)) for n in range(len(row))]
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()


@dataclass
class Reader:
    """Somebody who follows pages in one folder."""

    shell: Shell
    places: Mapping[str, str]
    """What stands in the pages, and what is here in its place: folders, mostly."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Fences that are not typed, by a part of them, and why."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Addresses of the pages, and those at which something listens here."""
    seen: list[str] = field(default_factory=list)
    """What has been left out."""

    def follow(self, page: Path) -> None:
        """Do what a page says, from its first line to its last."""
        with contextlib.ExitStack() as running:
            for step in steps(page):
                if step.file:
                    self._write(step)
                for number, (command, told) in enumerate(step.commands):
                    whole = step.fence.text
                    if why := next((w for part, w in self.left_out.items() if part in whole), ""):
                        self.seen.append(why)
                    elif re.search(r"\b(?:second|third|fourth) terminal\b", step.line):
                        running.enter_context(self._started(step, command, told))
                    else:
                        self._type(step, number, command, told)

    def _here(self, text: str) -> str:
        for told, here in {**self.places, **self.addresses}.items():
            text = text.replace(told, here)
        return text

    def _there(self, text: str) -> str:
        """A text in the words of the pages. Their host is web1."""
        for told, here in {**self.addresses, **self.places}.items():
            text = text.replace(here, told)
        return re.sub(rf"\b{re.escape(socket.gethostname())}\b", "web1", text)

    def _write(self, step: Step) -> None:
        assert step.file is not None
        place = self.shell.folder / self._here(step.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        before = place.read_text("utf-8") + "\n\n" if step.line.startswith("Add") else ""
        place.write_text(f"{before}{self._here(step.fence.text)}\n", "utf-8")

    def _type(self, step: Step, number: int, command: str, told: str) -> None:
        found = self._typed(command)

        def fits_now() -> bool:
            nonlocal found
            found = self._typed(command)
            return fits(told, found)

        if told and not fits(told, found) and command.startswith(READS):
            with contextlib.suppress(AssertionError):
                until(fits_now, command, 60, pause=0.1)
        if fits(told, found):
            return
        if WRITES:
            write(step, number, command, told, found)
        else:
            raise AssertionError(f"{step.where}: $ {command}\n{found}\n--- is not\n{told}")

    def _typed(self, command: str) -> str:
        """Type a command; what it prints. One of wpbridge alone begins as a fork, which is quick."""
        if command.startswith("wpbridge ") and not set(command) & set("$|&;<>`\n"):
            typed = [sys.executable, "-m", *shlex.split(self._here(command))]
        else:
            keep = self.shell.variables
            typed = ["bash", "-c", f". {keep}\n{self._here(command)}\nexport -p > {keep}"]
        process = warm.Popen(
            typed,
            cwd=self.shell.folder,
            env=self.shell.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self._there(process.communicate(timeout=300)[0])

    @contextmanager
    def _started(self, step: Step, command: str, told: str) -> Iterator[None]:
        """Start what runs until Ctrl-C; its first lines are what the page shows."""
        words, listens = on_any_port(shlex.split(self._here(command)))
        log = self.shell.folder.parent / f"{step.page.stem}-{step.fence.at}.log"
        with log.open("wb") as stream:
            process = warm.Popen(
                [sys.executable, "-m", *words],
                cwd=self.shell.folder,
                env=self.shell.env,
                stdout=stream,
                stderr=stream,
            )
        try:
            begun = f"{told.rstrip()}..."
            until(
                lambda: fits(begun, self._heard(log, listens)), lambda: self._heard(log, None), 60
            )
            yield
            process.send_signal(signal.SIGINT)
            assert process.wait(60) in {0, 130}, self._heard(log, None)
        finally:
            process.kill()
            process.wait()

    def _heard(self, log: Path, listens: str | None) -> str:
        """What a process has printed; learns the address at which it listens."""
        text = log.read_text("utf-8", errors="replace")
        if listens and (real := re.search(r"127\.0\.0\.1:\d+", text)):
            self.addresses[listens] = real[0]
        return self._there(text)
