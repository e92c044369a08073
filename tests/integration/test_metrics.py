"""A daemon's metrics, scraped as Prometheus does: totals stay true whatever becomes of workers."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from daemons import (
    HANDLERS,
    StartDaemon,
    started_daemons,
    until,
    work_folder,
    wpbridge,
)
from factories import make_new
from served import headers_for, served
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ROUND = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return work_folder(tmp_path, HANDLERS)


@pytest.fixture
def daemon(folder: Path) -> Iterator[StartDaemon]:
    with started_daemons(folder) as start:
        yield start


def scraped(url: str) -> dict[str, float]:
    return series_in(requests.get(url, timeout=60).text)


def series_in(text: str) -> dict[str, float]:
    """Each series, without the site, which is the same everywhere."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            plain = re.sub(r'site="[^"]*",?', "", series).replace(",}", "}").replace("{}", "")
            found[plain] = float(value)
    return found


def completed(url: str) -> float:
    name = 'wpbridge_actions_completed_total{group="",hook="count",runner="wpbridge"}'
    return scraped(url).get(name, 0.0)


def has_completed(url: str, actions: int) -> bool:
    return completed(url) == actions


def address(err: Callable[[], str]) -> str:
    found = until(lambda: re.search(r"metrics at (\S+)", err()), "the address of the metrics")
    return str(found[1])


def add(store: RunnerStore, count: int, hook: str = "count") -> None:
    now = SystemClock().now()
    store.insert([make_new(hook, args=(n,), now=now) for n in range(count)], now=now)


def test_totals_outlive_the_workers_that_are_killed(
    folder: Path,
    daemon: StartDaemon,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
) -> None:
    store = open_queue(mysql_dsn)
    one = daemon(mysql_dsn, "--processes", "2", "--metrics", "127.0.0.1:0").ready()
    url = address(one.err)
    for number in range(1, 4):
        add(store, ROUND)
        done = number * ROUND
        until(partial(has_completed, url, done), lambda: str(scraped(url)))
        for pid in one.workers():
            os.kill(pid, signal.SIGKILL)
        one.logged("worker.died", 2 * number)
        assert completed(url) == done
    until(
        lambda: scraped(url).get("wpbridge_worker_deaths_total") == 6,
        lambda: str(scraped(url)),
    )
    add(store, ROUND)
    until(lambda: completed(url) == 4 * ROUND, lambda: str(scraped(url)))
    series = scraped(url)
    assert (
        series['wpbridge_action_duration_seconds_count{hook="count",outcome="complete"}']
        == 4 * ROUND
    )
    until(lambda: scraped(url).get("wpbridge_scrape_success") == 1, lambda: str(scraped(url)))
    assert not any("host" in name for name in series)
    one.send(signal.SIGTERM)
    assert one.code() == 128 + signal.SIGTERM


def test_a_worker_that_is_told_to_stop_hands_over_all_that_it_counted(
    folder: Path,
    daemon: StartDaemon,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
) -> None:
    store = open_queue(mysql_dsn)
    one = daemon(mysql_dsn, "--max-actions", "7", "--metrics", "127.0.0.1:0").ready()
    url = address(one.err)
    add(store, 40)
    until(lambda: store.counts() == {"complete": 40}, "the end of all")
    until(lambda: completed(url) == 40, lambda: str(scraped(url)))
    assert scraped(url)["wpbridge_worker_deaths_total"] == 0


def test_what_runs_is_busy(
    folder: Path,
    daemon: StartDaemon,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
) -> None:
    add(open_queue(mysql_dsn), 2, "slow")
    one = daemon(mysql_dsn, "--concurrency", "3", "--metrics", "127.0.0.1:0").ready()
    url = address(one.err)
    wanted = {"busy": 2, "idle": 1, "max": 3}
    until(
        lambda: wanted == {s: scraped(url).get(f'wpbridge_workers{{state="{s}"}}') for s in wanted},
        lambda: str(scraped(url)),
    )
    one.open_gate()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--metrics", "0.0.0.0:0"], "set a token"),
        (["--metrics", "127.0.0.1"], "HOST:PORT"),
        (["--metrics", "unix:/x"], "HOST:PORT"),
    ],
)
@pytest.mark.parametrize("command", ["work", "serve"])
def test_an_address_that_would_tell_others_is_refused(
    folder: Path, mysql_dsn: str, command: str, flags: list[str], why: str
) -> None:
    handlers = ["--handlers", "acts"] if command == "work" else []
    for more in ([], ["--dry-run"]):
        done = wpbridge(folder, command, "--dsn", mysql_dsn, *handlers, *flags, *more)
        assert done.returncode in (2, 78)
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("flags", [[], ["--workers", "2"]])
def test_the_gateway_tells_its_requests_and_its_callbacks(
    folder: Path, mysql_dsn: str, flags: list[str], open_queue: Callable[[str], RunnerStore]
) -> None:
    open_queue(mysql_dsn)
    headers = headers_for(mysql_dsn)
    listen = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    with served(folder, mysql_dsn, *listen, *flags) as gateway:
        metrics = gateway.told("metrics at").split()[-1]
        for _ in range(30):
            with requests.Session() as session:
                session.post(
                    f"{gateway.url}/v1/jobs", json={"hook": "h"}, headers=headers, timeout=60
                ).raise_for_status()
        name = 'wpbridge_http_requests_total{code="202",method="POST",route="/v1/jobs"}'
        until(lambda: scraped(metrics).get(name) == 30, lambda: str(scraped(metrics)))
        until(
            lambda: scraped(metrics).get("wpbridge_scrape_success") == 1,
            lambda: str(scraped(metrics)),
        )


def test_each_run_of_cron_adds_to_its_file(
    folder: Path, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store, file = open_queue(mysql_dsn), folder / "wpbridge.prom"
    words = ["claim-and-run", "--dsn", mysql_dsn, "--handlers", "acts"]
    for _ in range(2):
        add(store, 3)
        done = wpbridge(folder, *words, "--metrics-textfile", str(file))
        assert (done.returncode, done.stderr) == (0, "")
    told = series_in(file.read_text())
    name = 'wpbridge_actions_completed_total{group="",hook="count",runner="wpbridge"}'
    assert told[name] == 6
    assert told['wpbridge_actions{status="complete"}'] == 6
    assert told["wpbridge_scrape_success"] == 1
    done = wpbridge(folder, *words, "--metrics-textfile", str(folder / "none" / "x.prom"))
    assert done.returncode == 78
    assert "no folder" in done.stderr
