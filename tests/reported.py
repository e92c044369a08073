"""A runner made as the commands make it, which reports what it does, at some time from now on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wpbridge.app import make_runner
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import Handler, describe
from wpbridge.site.config import load
from wpbridge.site.resolve import resolve
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore


class Ahead(SystemClock):
    """A clock that is ahead."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


class Runs:
    """Runs what is due on one site."""

    def __init__(self, store: RunnerStore, dsn: str, **settings: Any) -> None:
        self.store = store
        self.settings = load({"dsn": dsn, **settings}, {}, Path.cwd())

    def __call__(
        self,
        handlers: Mapping[str, Callable[..., Any] | Handler],
        *,
        ahead: int = 60,
        env: Mapping[str, str] = {},
        **more: Any,
    ) -> None:
        """Run all that is due in so many seconds, with other settings if some are given."""
        make_runner(
            replace(self.settings, **more),
            resolve(self.settings, {}),
            self.store.parts,
            {
                hook: one if isinstance(one, Handler) else describe(hook, one)
                for hook, one in handlers.items()
            },
            only=ClaimFilter(),
            clock=Ahead(ahead),
            env=env,
        ).run()
