"""The gateway is killed, cut off and left alone by its database: what was answered with 202 is there
once, and the same request again finds it.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from conftest import needs
from gateway import serving
from proxy import Proxy
from rows import query
from served import headers_for, served
from servers import MariaDB, missing_mariadb, private_mariadb
from stores import make_database, make_store, open_store
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.session import Session
from wpbridge.store.running.runner_store import RunnerStore

DYING: Final = """
import os, sys, threading

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from wpbridge.cli import main
from wpbridge.store.database.session import Session
from wpbridge.web import adding
from wpbridge.web.writer import Writer

STEP = sys.argv.pop(1)
left = 4


def meet():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)


def die_at(owner, name, *, after):
    real = getattr(owner, name)

    def doomed(*given, **more):
        if not after:
            meet()
        told = real(*given, **more)
        if after:
            meet()
        return told

    setattr(owner, name, doomed)


def by_writer(commit, *, after):
    def doomed(*given):
        is_writer = threading.current_thread().name == "wpbridge-writer"
        if is_writer and not after:
            meet()
        told = commit(*given)
        if is_writer and after:
            meet()
        return told

    return doomed


match STEP:
    case "before it is gathered":
        die_at(Writer, "_gather", after=False)
    case "before its commit":
        Session._commit = by_writer(Session._commit, after=False)
    case "after its commit":
        Session._commit = by_writer(Session._commit, after=True)
    case "before its answer":
        die_at(adding, "_accepted", after=True)
    case "before the next request":
        die_at(RequestResponseCycle, "__init__", after=False)
main()
"""
STEPS: Final = (
    "before it is gathered",
    "before its commit",
    "after its commit",
    "before its answer",
    "before the next request",
)


@dataclass
class Clients:
    """Some who add jobs at once, each with keys of their own."""

    headers: Mapping[str, str]
    clients: int = 4
    each: int = 5
    answered: dict[str, str] = field(default_factory=dict)
    """The address of the job of each key that was answered with 202."""
    statuses: Counter[int] = field(default_factory=Counter)

    def keys(self, number: int) -> list[str]:
        return [f"k-{number}-{n}" for n in range(self.each)]

    def run(self, url: str) -> None:
        """Send every key once; who meets a closed line ends."""
        threads = [
            threading.Thread(target=self._send, args=(url, number))
            for number in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, url: str, number: int) -> None:
        with requests.Session() as session:
            for key in self.keys(number):
                try:
                    answer = self.send(session, url, key)
                except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                    # The second one: the gateway was killed between the head and the body.
                    return
                self.statuses[answer.status_code] += 1
                if answer.status_code == 202:
                    before = self.answered.setdefault(key, answer.headers["Location"])
                    assert before == answer.headers["Location"]

    def send(self, session: requests.Session, url: str, key: str) -> requests.Response:
        headers = {**self.headers, "Idempotency-Key": key}
        return session.post(f"{url}/v1/jobs", json={"hook": key}, headers=headers, timeout=60)

    def check(self, store: RunnerStore) -> None:
        """Every key has one job, and it is the one that was answered."""
        names = [key for number in range(self.clients) for key in self.keys(number)]
        hooks = [str(h) for (h,) in query(store, "SELECT hook FROM wp_actionscheduler_actions")]
        assert Counter(hooks) == Counter(names)
        rows = query(
            store,
            "SELECT hook, uuid FROM wp_wpbridge_jobs JOIN wp_actionscheduler_actions"
            " USING (action_id)",
        )
        there = {hook: f"/v1/jobs/{uuid}" for hook, uuid in rows}
        assert there == self.answered


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_between_two_steps_of_a_request(
    step: str, dsn: str, store: RunnerStore, tmp_path: Path
) -> None:
    (tmp_path / "dying.py").write_text(DYING, encoding="utf-8")
    clients = Clients(headers_for(dsn))
    with served(
        tmp_path, dsn, "--listen", "127.0.0.1:0", program=(str(tmp_path / "dying.py"), step)
    ) as gateway:
        clients.run(gateway.url)
        assert gateway.code() == -9
    told = dict(clients.answered)
    with served(tmp_path, dsn, "--listen", "127.0.0.1:0") as gateway:
        clients.run(gateway.url)
    # Nobody was told of another job than before.
    assert {**clients.answered, **told} == clients.answered
    clients.check(store)


@pytest.mark.parametrize("toward", ["client", "server"])
def test_a_cut_between_a_commit_and_its_answer(
    toward: Any, mariadb: MariaDB, mysql_dsn: str, monkeypatch: pytest.MonkeyPatch, open_queue: Any
) -> None:
    store = open_queue(mysql_dsn)
    clients = Clients(headers_for(mysql_dsn), clients=1, each=3)
    left = [1]
    real = Session._commit

    def commit(session: Session, connection: Any) -> None:
        if threading.current_thread().name == "wpbridge-writer" and left and clients.answered:
            left.clear()
            proxy.cut_after(0, toward=toward)
        real(session, connection)

    with Proxy(mariadb.socket) as proxy:
        monkeypatch.setattr(Session, "_commit", commit)
        with serving(proxy.url(str(DatabaseAddress.from_dsn(mysql_dsn).name))) as gateway:
            clients.run(gateway.url)
            assert proxy.cuts == 1
            assert set(clients.statuses) <= {202, 503}
            clients.run(gateway.url)
    clients.check(store)


@pytest.fixture
def own_server() -> Iterator[MariaDB]:
    needs(missing_mariadb())
    with private_mariadb(may_be_killed=True) as server:
        yield server


def test_a_server_that_is_killed_under_load(own_server: MariaDB, tmp_path: Path) -> None:
    make_database(DatabaseAddress.from_dsn(own_server.url("mysql")), "q")
    dsn = own_server.url("q")
    make_store(DatabaseAddress.from_dsn(dsn), "wp_").close()
    clients = Clients(headers_for(dsn), clients=4, each=60)
    with served(tmp_path, dsn, "--listen", "127.0.0.1:0") as gateway:
        url = gateway.url
        load = threading.Thread(target=clients.run, args=(url,))
        load.start()
        while len(clients.answered) < 20 and load.is_alive():
            load.join(0.001)
        own_server.kill()
        load.join()
        # It is away, and nobody is told otherwise.
        assert requests.get(f"{url}/readyz", timeout=60).status_code == 503
        assert requests.get(f"{url}/livez", timeout=60).status_code == 200
        assert set(clients.statuses) == {202, 503}
        own_server.start()
        clients.run(url)
        assert len(clients.answered) == 4 * 60
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    clients.check(store)
    store.close()
