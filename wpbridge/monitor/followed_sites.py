"""Follows how many sites stand, by a process that looks at them: whoever asks never waits."""

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.monitor.site_look import SiteLook
from wpbridge.monitor.site_stream import EVERY_SECONDS
from wpbridge.site.site_list import SiteFault
from wpbridge.system import own_program
from wpbridge.telling.log import tell

AGAIN_SECONDS: Final = 5.0
"""A process that has ended is started again so much later."""
_CLOSE_SECONDS: Final = 5.0
_MOST_BYTES: Final = 8 << 20
"""A line is no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What is known of a list and of its sites at one moment."""

    places: Mapping[str, str]
    """The names of the entries, in the list's order, and where the list says each."""
    faults: Sequence[SiteFault] = ()
    looks: Mapping[str, Sequence[SiteLook]]
    """The last looks at each entry; those that nobody has looked at yet are missing."""
    problem: str = ""
    """Why the list cannot be read now; empty where it can."""


class FollowedSites:
    """The sites of a list, as a process of its own sees them."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Start the process.

        Args:
            words: the command, which prints what :mod:`wpbridge.monitor.site_stream` says.
            env: its whole environment.
        """
        self._words, self._env = list(words), dict(env)
        self._news = threading.Condition()
        self._places: dict[str, str] | None = None
        self._faults: tuple[SiteFault, ...] = ()
        self._looks: dict[str, tuple[SiteLook, ...]] = {}
        self._problem = ""
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="wpbridge-sites", daemon=True)
        self._thread.start()

    @classmethod
    def of(
        cls,
        place: Path,
        env: Mapping[str, str],
        *,
        strict: bool = False,
        every_seconds: float = EVERY_SECONDS,
    ) -> "FollowedSites":
        """Begin to follow the sites of a list, each of which is looked at so often.

        With ``strict`` no ``wp-config.php`` is read that other users can change.
        """
        words = ["sites", "status", "--sites", str(place), "--follow", f"{every_seconds:g}"]
        more = ["--strict"] if strict else []
        return cls([*own_program.command(), *words, *more], env)

    def latest(self) -> Followed:
        """Return what is known."""
        with self._news:
            return Followed(
                places=dict(self._places or {}),
                faults=self._faults,
                looks=dict(self._looks),
                problem=self._problem,
            )

    def wait(self, seconds: float) -> None:
        """Wait until each site was looked at once, or the list cannot be read, or time is over."""

        def is_known() -> bool:
            has_all = self._places is not None and self._places.keys() <= self._looks.keys()
            return has_all or bool(self._problem) or self._is_over

        with self._news:
            self._news.wait_for(is_known, seconds)

    def close(self) -> None:
        """End the process."""
        with self._news:
            self._is_over = True
            if self._process is not None:
                self._process.terminate()
            self._news.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._is_over:
            try:
                self._follow()
            except Exception:  # noqa: BLE001 - the next process may do better
                tell("metrics.broken", exc_info=True)
            with self._news:
                self._news.wait_for(lambda: self._is_over, AGAIN_SECONDS)

    def _follow(self) -> None:
        """Start the process, and hear it until it ends."""
        with self._news:
            if self._is_over:
                return
            process = self._process = subprocess.Popen(  # noqa: S603 - this program itself
                self._words,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            while line := process.stdout.readline(_MOST_BYTES):
                self._hear(json.loads(line))
        finally:
            process.stdout.close()
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _hear(self, said: Mapping[str, Any]) -> None:
        with self._news:
            if "sites" in said:
                self._places = dict(said["sites"])
                self._faults = tuple(SiteFault(*one) for one in said["faults"])
                self._problem = ""
                self._looks = {k: v for k, v in self._looks.items() if k in self._places}
            elif "problem" in said:
                self._problem = said["problem"]
            else:
                looks = tuple(SiteLook.from_json(look) for look in said["looks"])
                self._looks[said["entry"]] = looks
            self._news.notify_all()
