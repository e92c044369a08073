"""A WordPress with the tests' callbacks, and runs over its queue."""

import contextlib
import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from factories import make_new
from rows import change, log_of, query
from wordpress import in_wordpress, worker_command
from wpbridge import app
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Runner
from wpbridge.site.config import Settings, load
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import connect, open_site
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.tables import Connected


@dataclass
class PhpSite:
    """One site; its queue is emptied between tests."""

    folder: Path
    dsn: str
    has_plugin: bool
    wp: tuple[str, ...] = field(default_factory=worker_command)

    @cached_property
    def release(self) -> tuple[int, ...]:
        """The plugin's, by its own word; only where it is active."""
        told = in_wordpress(
            self.folder, "echo ActionScheduler_Versions::instance()->latest_version();"
        )
        return tuple(int(part) for part in re.findall(r"\d+", told)[:3])

    def needs_release(self, first: tuple[int, ...], what: str) -> None:
        """Leave the test out where the plugin is older than what it is about, with the reason."""
        if self.release < first:
            found, needed = (".".join(map(str, one)) for one in (self.release, first))
            pytest.skip(f"{what} came with {needed}, the plugin is {found}")

    def settings(self, **flags: object) -> Settings:
        """Settings for a run with PHP; flags as on the command line."""
        given = {"path": self.folder, "php": True, "php_workers": 1, "wp": shlex.join(self.wp)}
        return load({**given, **flags}, {}, self.folder)

    def site(self, settings: Settings) -> Site:
        return resolve(settings, {})

    def open(self) -> RunnerStore:
        """A store over the site's tables."""
        return RunnerStore(open_site(self.site(self.settings())))

    def enqueue(self, hook: str, *args: object, **more: Any) -> ActionId:
        """A due action; ``keyed`` gives args with keys."""
        store = self.open()
        now = SystemClock().now()
        given = more.pop("keyed", args)
        [action_id] = store.insert([make_new(hook, args=given, now=now, **more)], now=now)
        store.close()
        return action_id

    def enqueue_all(self, *hooks: Sequence[str]) -> Sequence[ActionId]:
        """Due actions without args, in this order, with one look at the site."""
        store = self.open()
        now = SystemClock().now()
        added = store.insert([make_new(hook, now=now) for hook in chain(*hooks)], now=now)
        store.close()
        return added

    def runner(self, **flags: object) -> tuple[Runner, RunnerStore]:
        """A runner that has not begun, and its store, to be closed."""
        settings = self.settings(**flags)
        site = self.site(settings)
        store = open_site(site)
        only = app.claim_filter(settings, app.routes_of(settings, {}))
        return app.make_runner(settings, site, store, {}, only=only, env=os.environ), RunnerStore(
            store
        )

    def run(self, **flags: object) -> Totals:
        """One run until nothing is due."""
        runner, store = self.runner(**flags)
        try:
            return runner.run()
        finally:
            store.close()

    def state(self, action_id: int) -> tuple[str, int, int]:
        """Status, attempts and claim."""
        with self._asked() as way:
            [row] = query(
                way,
                "SELECT status, attempts, claim_id FROM wp_actionscheduler_actions"
                " WHERE action_id = :i",
                i=action_id,
            )
        return str(row[0]), int(str(row[1])), int(str(row[2]))

    def log(self, action_id: int) -> list[str]:
        """The action's log messages."""
        with self._asked() as way:
            return log_of(way, action_id)

    def _asked(self) -> contextlib.closing[Connected]:
        """The way to the tables, for a question: opening a store looks at all of them."""
        return contextlib.closing(connect(DatabaseAddress.from_dsn(self.dsn), "wp_"))

    def records(self, kind: str | None = None) -> list[Any]:
        """What callbacks wrote down, in order; of one kind, without its name."""
        file = self.folder / "wp-content" / "record.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        return found if kind is None else [one[1:] for one in found if one[0] == kind]

    def listen(self) -> None:
        """From now on the lifecycle events are written down too."""
        (self.folder / "wp-content" / "listen").touch()

    def reset(self) -> None:
        """Empty queue, empty record."""
        for name in ("record.jsonl", "listen"):
            (self.folder / "wp-content" / name).unlink(missing_ok=True)
        store = self.open()
        for table in ("actions", "claims", "logs"):
            change(store, f"DELETE FROM wp_actionscheduler_{table}")
        if store.parts.own.has(store.names.keys):
            # What was moved within the same second would else count as moved already.
            change(store, f"DELETE FROM {store.names.keys}")
        if store.parts.own.has(store.names.held):
            # A held hook is told of once an hour, whichever test holds it.
            change(store, f"DELETE FROM {store.names.held}")
        store.close()
