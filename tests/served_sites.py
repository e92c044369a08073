"""A gateway for many sites that serves from this process, and the sites that it serves."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any

import requests

from daemons import until
from dashboard_site import PASSWORD, check_headers
from databases import empty_queue
from gateway import EVERYTHING
from stores import open_store
from wpbridge.access import changing, user_changes
from wpbridge.site.config import load
from wpbridge.site.database import DatabaseAddress
from wpbridge.web.many.serving import ManySites, many_sites
from wpbridge.web.serving import Server


@dataclass
class Many:
    """A running gateway for the sites of a list."""

    url: str
    app: ManySites
    keys: dict[str, str]
    file: Path
    loop: asyncio.AbstractEventLoop

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = requests.request(
            method, f"{self.url}{path}", allow_redirects=False, timeout=60, **more
        )
        check_headers(answer)
        return answer

    def page(self, path: str, cookies: Any = None, **more: Any) -> requests.Response:
        return self.ask("GET", path, cookies=cookies, headers={"Accept": "text/html"}, **more)

    def tidy(self) -> None:
        """Do what is done twice a minute."""
        asyncio.run_coroutine_threadsafe(self.app.tidy(), self.loop).result(60)

    def sign_in(self, base: str, name: str) -> requests.Response:
        return self.ask(
            "POST",
            f"{base}/sign-in",
            data={"username": name, "password": PASSWORD},
            headers={"Origin": self.url, "Sec-Fetch-Site": "same-origin"},
        )

    def job(self, key: str) -> str:
        """The id of a new job of the site a."""
        made = self.api("POST", "/s/a/v1/jobs", key, json={"hook": "send"})
        assert made.status_code == 202
        address = made.headers["Location"]
        assert address.startswith("/s/a/v1/jobs/")
        return address.rpartition("/")[2]

    def api(self, method: str, path: str, key: str, **more: Any) -> requests.Response:
        return self.ask(method, path, headers={"Authorization": f"Bearer {key}"}, **more)


def cookie_of(answer: requests.Response) -> Cookie:
    """The only cookie that an answer sets."""
    [cookie] = [*answer.cookies]
    assert isinstance(cookie, Cookie)
    return cookie


def make_site(folder: Path, name: str, *people: tuple[str, str]) -> tuple[str, str]:
    """Makes a queue with people, a name and a role each; returns its DSN and a key for everything."""
    dsn = empty_queue(folder / f"{name}.db")
    with closing(open_store(DatabaseAddress.from_dsn(dsn), "wp_")) as store:
        for person, role in people:
            user_changes.add(store.parts, person, PASSWORD, role=role, who="cli:test")
        key = changing.add(store.parts, "shop", EVERYTHING, expires=None, who="test")
    return dsn, key.text


class _Server(Server):
    """A server whose loop can be told to do something."""

    async def startup(self, sockets: Any = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)


@contextmanager
def served(file: Path, **settings: Any) -> Iterator[Many]:
    told = {"sites": str(file), "web_home": "home", **settings}
    app = many_sites(load(told, {}, file.parent), {})
    server = _Server(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), "the gateway")
            yield Many(url, app, {}, file, server.loop)
        finally:
            server.should_exit = True
            thread.join()
