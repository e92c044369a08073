"""What `/metrics` of the gateway tells: what the tables show, and what this process has counted."""

import threading
from collections.abc import Callable

from wpbridge.daemon.measured import Measured
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.exposing import needed
from wpbridge.monitor.gauges import CachedGauges
from wpbridge.telling.numbers import Numbers
from wpbridge.web.counted import Counted

FIRST_SECONDS = 5.0
"""So long the first request waits for the first reading of the tables."""


class Metrics:
    """The metrics of one process of the gateway. The tables are read once somebody has asked."""

    def __init__(
        self, open_gauges: Callable[[], CachedGauges], counted: Counted | None, *, site: str
    ) -> None:
        """Take what is needed later.

        Args:
            open_gauges: begins to read the tables.
            counted: what this process counts; None where a supervisor adds it up, since the
                processes of the gateway would answer in turn, each with its own numbers.
            site: the label of each series.
        """
        self._open = open_gauges
        self._counted = counted
        self._site = site
        self._lock = threading.Lock()
        self._gauges: CachedGauges | None = None
        self._measured = Measured()

    def text(self) -> bytes:
        """Return the metrics in Prometheus's format. It may wait: call it on a thread.

        Raises:
            ConfigError: prometheus-client is not installed.
        """
        exposition = needed()
        gauges = self._begun()
        numbers = Numbers()
        if self._counted is not None:
            numbers.join(self.numbers())
        numbers.join(gauges.numbers())
        told: bytes = exposition.text_of(numbers, site=self._site)
        return told

    def advice(self) -> Advice | None:
        """Return what was last advised; None if the tables cannot be read. It may wait once."""
        measured = self._begun().latest()
        return None if measured is None else measured.advice

    def _begun(self) -> CachedGauges:
        """Return what reads the tables; the first one waits for its first reading."""
        with self._lock:
            if self._gauges is None:
                self._gauges = self._open()
                self._gauges.wait(FIRST_SECONDS)
            return self._gauges

    def numbers(self) -> Numbers:
        """Return what this process has counted since its start."""
        if self._counted is not None:
            for part in self._counted.take().packed():
                self._measured.learn(part)
        return self._measured.numbers()

    def close(self) -> None:
        """Read the tables no more."""
        if self._gauges is not None:
            self._gauges.close()
