"""What a daemon's processes have counted, added up by their supervisor, which alone exposes it.

The supervisor's loop adds, and the thread that answers scrapes reads. What a process has sent stays
counted when the process is gone.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import wpbridge
from wpbridge.telling.numbers import Numbers, Totals


class Measured:
    """The numbers of one daemon."""

    def __init__(self, *others: Callable[[], Numbers], has_places: bool = True) -> None:
        """Begin to add up.

        Args:
            others: return what else is told, such as what the tables show. They must not wait.
            has_places: False for a gateway, at whose processes no action runs. Places of 0 would
                say that there is a daemon without any.
        """
        self._others = others
        self._has_places = has_places
        self._lock = threading.Lock()
        self._totals = Totals()
        self._states: Mapping[str, int] = {}
        self._deaths: int | None = None

    def learn(self, parts: Sequence[Sequence[Any]]) -> None:
        """Add what a process has counted since it last said so."""
        numbers = Numbers.unpacked(parts)
        with self._lock:
            self._totals.add(numbers)

    def look(self, states: Mapping[str, int], deaths: int) -> None:
        """Take in how the workers are just now.

        Args:
            states: places that are ``busy`` and ``idle``, and the ``max`` that there may be.
            deaths: how many workers have ended without being told to.
        """
        with self._lock:
            self._states = dict(states) if self._has_places else {}
            self._deaths = deaths

    def numbers(self) -> Numbers:
        """Return everything as it stands now. Any thread may ask."""
        found = Numbers()
        with self._lock:
            found.join(self._totals.numbers)
            states, deaths = self._states, self._deaths
        for state, places in states.items():
            found.set("wpbridge_workers", state, value=places)
        if deaths is not None:
            found.set("wpbridge_worker_deaths_total", value=deaths)
        found.set("wpbridge_build_info", wpbridge.__version__, value=1)
        for other in self._others:
            found.join(other())
        return found
