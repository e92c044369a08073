"""One site's queue, from Python: what the plugin's ``as_*`` functions offer, and more.

    from wpbridge import Queue

    with Queue.open(path="/var/www/html") as queue:
        queue.schedule_single("+10m", "send_mail", {"order": 17}, group="mail", unique=True)

Matching and uniqueness are the plugin's; docs/reference/python-api.md puts each method beside its
PHP function. What is given wrong is an :class:`InputError`, raised before anything is written.
Methods may be called from any thread; they take turns on one database connection.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from wpbridge.queue.adding import BULK, QueueAdding
from wpbridge.queue.changing import Which
from wpbridge.queue.matching import QueueMatching
from wpbridge.queue.minting import QueueMinting
from wpbridge.queue.pausing import QueuePausing
from wpbridge.queue.reading import QueueReading
from wpbridge.site.config import Settings, load, working_folder
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site
from wpbridge.telling import traces

if TYPE_CHECKING:
    from wpbridge.queue.through import BrokerQueue

__all__ = ["BULK", "Queue", "Which", "open_through", "opened"]


class Queue(QueueAdding, QueueMatching, QueueReading, QueuePausing, QueueMinting):
    """Actions of one site. Keep it open: a connection is made at first use and kept."""

    @classmethod
    def open(  # noqa: D417 - the rest are settings
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        dsn: str | None = None,
        env: Mapping[str, str] = os.environ,
        cwd: Path | None = None,
        **settings: object,
    ) -> Self:
        """Open the queue of a WordPress folder or a database; docs/reference/settings.md.

        Args:
            path: WordPress's folder; its ``wp-config.php`` is read, no PHP is run.
            dsn: ``mysql://…`` or ``sqlite:///queue.db`` instead.
            env: also asked for ``WPBRIDGE_…``.
            cwd: where relative paths begin.

        Raises:
            ConfigError, SiteError: nothing tells where the tables are.
        """
        flags = {"path": None if path is None else os.fspath(path), "dsn": dsn, **settings}
        found = load(flags, env, cwd or working_folder())
        for words in found.warnings:
            warnings.warn(words, DeprecationWarning, stacklevel=2)
        return cls.of(found, env)

    @classmethod
    def of(cls, settings: Settings, env: Mapping[str, str] = os.environ) -> Self:
        """Open the queue that settings mean."""
        site = resolve(settings, env)
        begin = None
        if settings.telemetry_traces:
            begin = partial(traces.start, settings.telemetry_otlp_endpoint)
        return cls(
            partial(open_site, site),
            unique_by=settings.unique_by,
            before_adding=begin,
            open_through=partial(open_through, settings) if settings.celery_broker else None,
        )

    def close(self) -> None:
        """Give the connections back."""
        if self._opened_through is not None:
            self._opened_through.close()
        if self._closes and self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_through(settings: Settings) -> "BrokerQueue":
    """Return the way to the broker of the settings, for a queue. Raises ConfigError without one."""
    from wpbridge.queue.through import BrokerQueue  # noqa: PLC0415 - few have a broker

    return BrokerQueue(settings)


@contextlib.contextmanager
def opened(settings: Settings, env: Mapping[str, str] = os.environ) -> Iterator[Queue]:
    """Open the queue of settings, and close it afterwards."""
    queue = Queue.of(settings, env)
    try:
        yield queue
    finally:
        queue.close()
