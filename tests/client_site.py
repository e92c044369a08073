"""A client of the gateway, a flaky server before the gateway, and the queue behind it."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client_drivers import Driver, Failed
from flaky import Front
from gateway import Gateway
from wpbridge import Queue
from wpbridge.clock import SystemClock


@dataclass
class Site:
    """A gateway with a flaky server before it, and the queue behind it."""

    file: Path
    gateway: Gateway
    front: Front

    def change(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement in the queue, as another program would."""
        with closing(sqlite3.connect(self.file, timeout=60, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def set_status(self, job: dict[str, Any], status: str) -> None:
        """Give the action of a job another status."""
        self.change(
            "UPDATE wp_actionscheduler_actions SET status = ? WHERE action_id = ?",
            status,
            job["action_id"],
        )

    def end(self, job: dict[str, Any], result: object) -> None:
        """End the action of a job, as a runner does."""
        with Queue.open(dsn=f"sqlite:///{self.file}") as queue:
            told = [(job["action_id"], json.dumps(result))]
            results = queue.store.results
            queue.store.session.transact(lambda c: results.write(c, told, SystemClock().now()))
        self.set_status(job, "complete")

    def delete(self, job: dict[str, Any]) -> None:
        """Delete the action of a job."""
        with Queue.open(dsn=f"sqlite:///{self.file}") as queue:
            queue.delete([job["action_id"]])

    def actions(self, hook: str) -> int:
        """Count the actions of a hook."""
        found = self.change("SELECT 1 FROM wp_actionscheduler_actions WHERE hook = ?", hook)
        return len(found)


@dataclass
class Clients:
    """A client of one kind, and the site."""

    driver: Driver
    site: Site
    hook: str

    def ask(self, do: str, *given: Any, **options: Any) -> Any:
        """Do something through the flaky server."""
        client = {"url": self.site.front.url, "key": self.site.gateway.key, **options}
        return self.driver.ask(client, do, *given)

    def fails(self, do: str, *given: Any, **options: Any) -> Failed:
        """Do something that must fail."""
        with pytest.raises(Failed) as caught:
            self.ask(do, *given, **options)
        return caught.value

    def enqueue(self, args: Any = (), **options: Any) -> dict[str, Any]:
        """Add a job of this test's own hook."""
        found: dict[str, Any] = self.ask("enqueue", self.hook, args, options)
        return found

    def told(self, name: str) -> list[str | None]:
        """A header of each request that came."""
        return [seen.headers.get(name) for seen in self.site.front.seen]
