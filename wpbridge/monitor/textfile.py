"""Metrics of runs that are soon gone, in a file that node_exporter's textfile collector reads.

Each run adds what it has counted to the counters in the file, so that they never fall. Gauges are
those of the last run. A reader finds the file before a run or after it, never a part.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.errors import ConfigError
from wpbridge.monitor.exposing import needed
from wpbridge.system.whole_files import replacing
from wpbridge.telling.log import tell
from wpbridge.telling.numbers import Numbers, Totals

_MODE: Final = 0o644
"""Node_exporter reads it as another user. It has names of hooks and numbers, and no data."""


def check(file: Path) -> None:
    """Look whether metrics can be written to a file.

    Raises:
        ConfigError: they cannot, or prometheus-client is not installed.
    """
    needed()
    if file.suffix != ".prom":
        raise ConfigError(f"{file}: node_exporter reads files whose names end with .prom")
    if not os.access(file.parent, os.W_OK):
        raise ConfigError(f"{file.parent} is no folder that can be written into")


def add(file: Path, counted: Numbers, gauges: Numbers, *, site: str) -> None:
    """Add to the counters of a file, and replace its gauges.

    A run that is killed meanwhile leaves the file as it was. Runs of several processes wait for
    each other. A file that is not as this function writes it is replaced, and the log says so.

    Args:
        file: its folder must be there.
        counted: what the run has counted.
        gauges: what the tables show now.
        site: the label of each series.

    Raises:
        ConfigError: it has the metrics of another site.
        OSError: it cannot be written.
    """
    exposition, totals = needed(), Totals()
    with _alone(file.parent) as folder:
        with contextlib.suppress(FileNotFoundError):
            try:
                text = file.read_text("utf-8")
                others = exposition.sites_in(text) - {site}
                totals.add(exposition.numbers_in(text))
            except (ValueError, KeyError, TypeError):
                tell("metrics.textfile_replaced", file=str(file))
                others, totals = set(), Totals()
            if others:
                raise ConfigError(
                    f"{file} has the metrics of {others.pop()}: give each site its own"
                )
        totals.add(counted)
        told = totals.numbers
        told.join(gauges)
        with replacing(folder, file.name) as stream:
            stream.write(exposition.text_of(told, site=site))
            os.fchmod(stream.fileno(), _MODE)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Yield a descriptor of a folder that no other run has locked meanwhile."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield number
    finally:
        os.close(number)
