"""A process that runs one site's actions, as the scheduler sees it: started, heard, told, ended.

It runs as the site's user, so nothing that it says is trusted further than it concerns this site.
Its output comes through a pipe: a process of another user must not hold the daemon's log open.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any, Final

from wpbridge.daemon.sites.packing import packed
from wpbridge.daemon.sites.users import SystemUser, environment
from wpbridge.daemon.worker_process import Child, handed_file
from wpbridge.dataclass import dataclass
from wpbridge.site.site_list import SiteEntry
from wpbridge.telling.reasons import LONGEST_REASON
from wpbridge.telling.visible import visible

OUTPUT_BYTES: Final = 64 << 10
"""So much of what a site's process prints is passed on in a second. More makes it wait."""
_LONGEST_LINE: Final = 4096
COUNTED: Final = ("claimed", "complete", "failed", "retried", "canceled", "released", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTerms:
    """What each site's process is told beside its site."""

    max_memory: int
    """Bytes that it may have of its own; 0 for no bound."""
    verbose: int
    quiet: bool
    log_format: str


@dataclass(slots=True, kw_only=True, eq=False)
class SiteProcess:
    """One process of one site."""

    site: str
    child: Child
    output: int
    """The descriptor from which its output is read; -1 when it is closed."""
    php_granted: int
    """How many PHP workers it may have."""
    php_workers: int
    """How many it has said that it will have; before that, what it may have."""
    started: float
    """By the monotonic clock, as all moments here."""
    is_ready: bool = False
    idle_since: float | None = None
    """Since when it has nothing in hand and has claimed nothing."""
    away_since: float | None = None
    """Since when its database does not answer."""
    ending_since: float | None = None
    """When it was told to end."""
    why: str = ""
    """Why it was told to end."""
    counts: dict[str, int] = field(default_factory=dict)
    in_hand: int = 0
    refusal: str = ""
    """What it has said is wrong with its site."""
    last_line: str = ""
    """The end of what it has printed."""
    passed_on: int = 0
    """Bytes of output in this second."""
    second: float = 0.0
    rest: bytes = b""
    """The beginning of a line whose end has not come yet."""

    def tell(self, word: str) -> None:
        """Hand a command on."""
        self.child.tell(word)

    def end(self, why: str, now: float) -> None:
        """Have it finish what runs, and end."""
        if self.ending_since is None:
            self.ending_since, self.why = now, why
            self.child.tell("stop")

    def take(self, message: Mapping[str, Any], now: float) -> None:
        """Take in what it says. ValueError, TypeError or KeyError where it is no message."""
        match message.get("event"):
            case "beat":
                self.child.signed = now - max(0.0, float(message["silent"]))
                self._count(message["totals"], now)
                is_there = bool(message["database"])
                self.away_since = None if is_there else self.away_since or now
            case "ready":
                self.is_ready, self.child.signed, self.idle_since = True, now, now
            case "left":
                self._count(message["totals"], now)
            case "php":
                self.php_workers = min(self.php_granted, max(0, int(message["workers"])))
            case "refused":
                self.refusal = visible(str(message["reason"]))[:LONGEST_REASON]
            case _:
                pass

    def _count(self, totals: Mapping[str, Any], now: float) -> None:
        counts = {name: min(1 << 53, max(0, int(totals.get(name, 0)))) for name in COUNTED}
        self.in_hand = min(1 << 31, max(0, int(totals.get("in_hand", 0))))
        has_moved = counts["claimed"] != self.counts.get("claimed", 0) or self.in_hand > 0
        self.counts = counts
        if has_moved:
            self.idle_since = None
        elif self.is_ready and self.idle_since is None:
            self.idle_since = now

    def read_output(self, now: float) -> tuple[list[str], bool]:
        """Return the lines that it has printed, and whether more may be read in this second."""
        if now - self.second >= 1.0:
            self.second, self.passed_on = now, 0
        try:
            got = os.read(self.output, min(_LONGEST_LINE, OUTPUT_BYTES - self.passed_on))
        except BlockingIOError:
            return [], True
        except OSError:
            got = b""
        self.passed_on += len(got)
        *whole, self.rest = (self.rest + got).split(b"\n")
        if not got or len(self.rest) > _LONGEST_LINE:
            whole, self.rest = [*whole, self.rest], b""
        if not got:
            self.close_output()
        lines = [visible(line.decode("utf-8", "replace")) for line in whole]
        told = [line for line in lines if line.strip()]
        if told:
            self.last_line = told[-1][:LONGEST_REASON]
        return told, bool(got) and self.passed_on < OUTPUT_BYTES

    def close_output(self) -> None:
        """Read no more of what it prints."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1


def start(
    entry: SiteEntry,
    user: SystemUser,
    terms: SiteTerms,
    *,
    words: Callable[[str], Sequence[str]],
    env: Mapping[str, str],
    php: int,
) -> SiteProcess:
    """Start a process for a site, as the site's user from its first instruction on.

    Args:
        entry: the site.
        user: the site's user.
        terms: what is the same for all sites.
        words: the command; given what the process must know.
        env: the scheduler's environment.
        php: how many PHP workers it may have.

    Raises:
        OSError: the system has no room for a process, or the user must not run the interpreter.
    """
    handed = {
        "entry": packed(entry),
        "uid": user.uid,
        "php": php,
        "max_memory": terms.max_memory,
        "verbose": terms.verbose,
        "quiet": terms.quiet,
        "log_format": terms.log_format,
    }
    # The interpreter that starts is the user's already: Popen changes the user before it runs it.
    changes: dict[str, Any] = {}
    if os.geteuid() != user.uid:
        changes = {"user": user.uid, "group": user.gid, "extra_groups": user.groups, "umask": 0o022}
    ours, theirs = socket.socketpair()
    output, printed = os.pipe()
    try:
        with theirs, handed_file(json.dumps(handed).encode()) as file:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                words(f"site:{theirs.fileno()}:{file.fileno()}"),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env=environment(user, env),
                cwd="/",
                pass_fds=(theirs.fileno(), file.fileno()),
                start_new_session=True,
                **changes,
            )
    except BaseException:
        ours.close()
        os.close(output)
        raise
    finally:
        os.close(printed)
    ours.settimeout(0)
    os.set_blocking(output, False)
    now = time.monotonic()
    child = Child(number=1, process=process, link=ours, started=now, signed=now)
    return SiteProcess(
        site=entry.name,
        child=child,
        output=output,
        php_granted=php,
        php_workers=php,
        started=now,
    )


def ended(process: SiteProcess) -> int:
    """Close what belongs to a process that has ended; returns its exit code, as a shell tells it.

    Its last words are taken in.
    """
    now = time.monotonic()
    while (heard := process.child.hear())[0]:
        for message in heard[0]:
            with suppress(ValueError, TypeError, KeyError, OverflowError):
                process.take(message, now)
    process.child.link.close()
    process.close_output()
    return process.child.code
