"""A dashboard that serves from this process, and people who look at it without a browser."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from gateway import Gateway, serving
from wpbridge.access import user_changes
from wpbridge.queue.facade import opened
from wpbridge.site.config import load
from wpbridge.site.rules import ROLES
from wpbridge.web.pages.table import PAGES

PASSWORD = "correct horse battery"
POLICY_WORDS = ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'")


def check_headers(answer: requests.Response) -> None:
    """Every answer keeps a browser to what we serve."""
    policy = answer.headers["Content-Security-Policy"]
    assert all(word in policy for word in POLICY_WORDS), answer.url
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@dataclass
class Dashboard:
    """A running dashboard, and its people."""

    gateway: Gateway
    sessions: dict[str, requests.Session] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def origin(self) -> str:
        return re.match(r"https?://[^/]+", self.url)[0]  # type: ignore[index]

    def person(self, name: str) -> requests.Session:
        """The session of somebody who has signed in; an empty name for somebody who has not."""
        if name not in self.sessions:
            session = requests.Session()
            if name:
                answer = session.post(
                    f"{self.url}/sign-in",
                    {"username": name, "password": PASSWORD},
                    headers={"Origin": self.origin},
                    allow_redirects=False,
                )
                assert answer.status_code == 303, answer.text
            self.sessions[name] = session
        return self.sessions[name]

    def get(self, path: str, who: str = "admin", **more: Any) -> requests.Response:
        """Ask for a page."""
        answer = self.person(who).get(f"{self.url}{path}", allow_redirects=False, **more)
        check_headers(answer)
        return answer

    def post(
        self,
        path: str,
        form: Mapping[str, Any] = {},
        who: str = "admin",
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a form, as a page of the dashboard does unless other headers are given."""
        told = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        answer = self.person(who).post(
            f"{self.url}{path}",
            dict(form),
            headers=told if headers is None else headers,
            allow_redirects=False,
        )
        check_headers(answer)
        return answer

    def text(self, path: str, who: str = "admin") -> str:
        """Return a page that is there."""
        answer = self.get(path, who)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()


def path_of(path: str, action_id: int) -> str:
    """The path of a row of the table, for an action."""
    # The preview is one of a change, which stands in its address.
    query = "?verb=cancel&status=pending" if path == "/changes/preview" else ""
    return f"{path.replace('{action}', str(action_id))}{query}"


def page_paths(action_id: int) -> list[str]:
    """The paths of all pages."""
    return [path_of(page.path, action_id) for page in PAGES]


@contextmanager
def dashboard(dsn: str, **settings: Any) -> Iterator[Dashboard]:
    """Serve the dashboard of a queue, with a user for each role who has its name."""
    with opened(load({"dsn": dsn}, {}, Path.cwd())) as queue:
        known = {user.name for user in queue.store.users.all()}
        for role in set(ROLES) - known:
            user_changes.add(queue.store, role, PASSWORD, role=role, who="cli:test")
    with serving(dsn, keys={}, **settings) as gateway:
        found = Dashboard(gateway)
        try:
            yield found
        finally:
            found.close()
