"""A watcher whose database goes away and comes back, over a network that can be cut."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from clocks import FakeClock
from proxy import Proxy
from receiver import Receiver
from servers import MariaDB
from wpbridge.monitor.watched_site import watcher_of
from wpbridge.monitor.watching import Watcher
from wpbridge.site.config import Settings
from wpbridge.store.running.runner_store import RunnerStore


def look(watcher: Watcher, clock: FakeClock, minutes: int = 1) -> None:
    for _ in range(minutes):
        clock.at += timedelta(minutes=1)
        watcher.look()


def test_a_database_that_is_cut_off_is_told_though_nothing_can_be_written(
    open_queue: Callable[[str], RunnerStore], mysql_dsn: str, mariadb: MariaDB, receiver: Receiver
) -> None:
    store = open_queue(mysql_dsn)
    clock = FakeClock(datetime.now(UTC))
    with Proxy(mariadb.socket) as proxy:
        settings = Settings(
            dsn=proxy.url(urlsplit(mysql_dsn).path[1:]),
            table_prefix="wp_",
            alerts_to=(f"json://127.0.0.1:{receiver.server_port}/",),
        )
        watcher = watcher_of(settings, env={}, clock=clock)
        look(watcher, clock)
        proxy.refuse()
        proxy.cut()
        # The target is away, too.
        receiver.status = 503
        look(watcher, clock, 10)
        receiver.status = 200
        receiver.posts.clear()
        look(watcher, clock, 10)
        proxy.accept()
        look(watcher, clock, 3)
        watcher.close()
    told = [json.loads(body) for _, body in receiver.posts]
    assert [one["title"].rpartition("] ")[2] for one in told] == [
        "FIRING (critical): ExporterDown",
        "RESOLVED: ExporterDown",
    ]
    for one in told:
        assert "127.0.0.1" not in one["title"] + one["message"]
        assert "mysql" not in one["title"] + one["message"]
    assert store.parts.alerts.all() == []
