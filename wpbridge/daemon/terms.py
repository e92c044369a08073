"""What the supervisor must know of the settings, and how a reload changes it."""

import signal
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Final

from wpbridge.daemon.fleet import Fleet
from wpbridge.daemon.scaling import ScalingTerms
from wpbridge.dataclass import dataclass
from wpbridge.telling.log import tell
from wpbridge.telling.reasons import one_line

_KEPT: Final = "the old workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the supervisor must know; the rest is the workers'."""

    processes: int = 1
    scaling: ScalingTerms | None = None
    """Workers follow the advice; there are ``processes`` of them at first."""
    concurrency: int | None = None
    """How many handlers run at once in a worker that follows nothing."""
    has_gateway: bool = False
    """One more process serves HTTP."""
    stops_at_once: tuple[signal.Signals, ...] = (signal.SIGINT,)
    """These end everything at once when they come while it is stopping already."""
    drain_seconds: float | None = 30.0
    """None: no limit."""
    heartbeat_file: Path | None = None
    watches: bool = False
    """Replace the workers when a module of theirs changes."""
    handed: bytes = field(default=b"", repr=False)
    """What each worker is given: the settings that it runs with."""


class CurrentTerms:
    """The terms that count: new ones do so once a worker runs with them."""

    def __init__(self, terms: Terms, read: Callable[[], Terms]) -> None:
        """``read`` reads the settings anew; what is wrong with them is a WpbridgeError."""
        self.now = terms
        self._read = read
        self._offered: Terms | None = None
        """Those of a reload, until the first worker runs with them."""

    @property
    def handed(self) -> bytes:
        """What a worker is given that starts now."""
        return (self._offered or self.now).handed

    def reload(self, fleet: Fleet) -> None:
        """Read the settings anew, and begin to replace the workers if they can be read."""
        try:
            terms = self._read()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it meets, the daemon goes on
            tell("daemon.reload_refused", error=one_line(error), kept=_KEPT)
            return
        tell("daemon.reloading")
        self._offered = terms
        if terms.drain_seconds is not None:
            fleet.rolling.patience_seconds = terms.drain_seconds
        fleet.roll()

    def decide(self, fleet: Fleet) -> None:
        """Take the new settings when a worker runs with them; keep the old if none does."""
        if self._offered is None:
            return
        if fleet.is_refused:
            self._offered = None
        elif fleet.is_renewed or not fleet.rolling.is_on:
            self.now, self._offered = self._offered, None
            if self.now.scaling is None:
                fleet.resize(self.now.processes)
                fleet.unscale(self.now.concurrency)
