"""One gateway for many sites: each is apart from the others, and the index is for admins alone."""

import json
import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from cli_helpers import call
from daemons import until
from gateway import EVERYTHING
from served import served as process
from served_sites import Many, cookie_of, make_site, served
from stores import open_store
from wpbridge import Queue
from wpbridge.access import changing
from wpbridge.errors import ConfigError
from wpbridge.site.config import load
from wpbridge.site.database import DatabaseAddress
from wpbridge.web.many import open_sites
from wpbridge.web.many.serving import many_sites

NOBODY = 65534
pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the queues of three sites, and the key of each."""
    folder = tmp_path_factory.mktemp("made")
    people = {
        "home": (("boss", "admin"), ("guest", "operator")),
        "a": (("anna", "admin"),),
        "b": (("anna", "viewer"), ("bob", "admin")),
    }
    return folder, {name: make_site(folder, name, *whom)[1] for name, whom in people.items()}


@pytest.fixture
def listed(tmp_path: Path, made: tuple[Path, dict[str, str]]) -> tuple[Path, dict[str, str]]:
    """A list of three sites, and the key of each."""
    folder, keys = made
    for name in keys:
        shutil.copy(folder / f"{name}.db", tmp_path)
    rows = [f'{{name = "{name}", dsn = "sqlite:///{tmp_path}/{name}.db"}}' for name in keys]
    file = tmp_path / "sites.toml"
    file.write_text(f"sites = [{', '.join(rows)}]")
    return file, keys


@pytest.fixture
def many(listed: tuple[Path, dict[str, str]]) -> Iterator[Many]:
    file, keys = listed
    with served(file) as found:
        found.keys = keys
        yield found


def test_each_site_has_its_own_people_and_cookies(many: Many) -> None:
    answer = many.sign_in("/s/a", "anna")
    cookie = cookie_of(answer)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/s/a/")
    assert cookie.path == "/s/a/"
    assert many.page("/s/a/", {cookie.name: cookie.value}).status_code == 200
    other = cookie_of(many.sign_in("/s/b", "anna"))
    assert other.name != cookie.name
    # Neither under its own name nor under that of the other site's does a cookie count there.
    for name in (cookie.name, other.name):
        assert many.page("/s/b/", {name: cookie.value}).headers["Location"] == "/s/b/sign-in"
        assert many.page("/sites/", {name: cookie.value}).headers["Location"] == "/sites/sign-in"
    assert many.sign_in("/s/a", "bob").status_code == 401
    # The same name is another person elsewhere, with another role.
    assert "admin" in many.page("/s/a/settings", {cookie.name: cookie.value}).text
    form = {"reason": "x", "kind": "all"}
    refused = many.ask(
        "POST",
        "/s/b/hooks/pause",
        cookies={other.name: other.value},
        data=form,
        headers={"Origin": many.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert refused.status_code == 403


def test_a_key_is_nothing_at_another_site(many: Many) -> None:
    a, b = many.keys["a"], many.keys["b"]
    job = many.job(a)
    assert many.api("GET", f"/s/a/v1/jobs/{job}", a).status_code == 200
    assert many.api("GET", f"/s/b/v1/jobs/{job}", a).status_code == 401
    assert many.api("GET", f"/s/b/v1/jobs/{job}", b).status_code == 404
    assert many.api("GET", "/s/b/v1/actions", b).json()["actions"] == []
    for path in ("/v1/actions", "/sites/v1/actions", "/s/v1/actions"):
        assert many.api("GET", path, a).status_code == 404


def test_a_token_is_nothing_at_another_site(many: Many) -> None:
    a = many.keys["a"]
    job = many.job(a)
    dsn = re.search(r'name = "a", dsn = "([^"]+)"', many.file.read_text())
    assert dsn is not None
    with closing(Queue.open(dsn=dsn[1])) as queue:
        token = queue.job_token(job)
        ticket = queue.ticket("send", {"order": 1}, seconds=60)
    assert many.ask("GET", f"/s/a/v1/jobs/{job}?token={token}").status_code == 200
    assert many.ask("GET", f"/s/b/v1/jobs/{job}?token={token}").status_code == 401
    body = {"hook": "send", "args": {"order": 1}}
    assert many.api("POST", "/s/b/v1/jobs", ticket, json=body).status_code == 401
    assert many.api("POST", "/s/a/v1/jobs", ticket, json=body).status_code == 202


def test_news_of_a_job_are_told_to_its_site_alone(many: Many) -> None:
    a, b = many.keys["a"], many.keys["b"]
    job = many.job(a)
    assert many.api("GET", f"/s/b/v1/jobs/{job}/events", a).status_code == 401
    assert many.api("GET", f"/s/b/v1/jobs/{job}/events", b).status_code == 404
    headers = {"Authorization": f"Bearer {a}"}
    with requests.get(
        f"{many.url}/s/a/v1/jobs/{job}/events", headers=headers, stream=True, timeout=60
    ) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        first = next(line for line in lines if line.startswith("data: "))
        assert json.loads(first.removeprefix("data: "))["status"] == "pending"
        assert many.api("DELETE", f"/s/a/v1/jobs/{job}", a).status_code in {200, 202, 204}
        last = next(line for line in lines if line.startswith("data: "))
        assert json.loads(last.removeprefix("data: "))["status"] == "canceled"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Referer": "{url}/s/a/hooks"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Referer": "{url}/s/b/hooks"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Referer": "{url}/sites/"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Referer": "{url}/s/a"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/s/a/"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({}, 403),
    ],
)
def test_a_change_comes_from_a_page_of_the_same_site(
    many: Many, headers: dict[str, str], status: int
) -> None:
    cookie = cookie_of(many.sign_in("/s/a", "anna"))
    told = {name: value.format(url=many.url) for name, value in headers.items()}
    answer = many.ask(
        "POST",
        "/s/a/hooks/pause",
        cookies={cookie.name: cookie.value},
        data={"kind": "all"},
        headers=told,
    )
    assert answer.status_code == status


def test_the_index_is_for_the_admins_of_its_home(many: Many) -> None:
    assert many.page("/").headers["Location"] == "/sites/"
    assert many.page("/sites").headers["Location"] == "/sites/"
    assert many.page("/sites/").headers["Location"] == "/sites/sign-in"
    for name in ("anna", "bob"):
        assert many.sign_in("/sites", name).status_code == 401
    guest = cookie_of(many.sign_in("/sites", "guest"))
    refused = many.page("/sites/", {guest.name: guest.value})
    assert refused.status_code == 403
    assert "/s/a/" not in refused.text
    boss = cookie_of(many.sign_in("/sites", "boss"))
    assert boss.path == "/sites/"
    text = many.page("/sites/", {boss.name: boss.value}).text
    for name in ("a", "b", "home"):
        assert f'<a href="/s/{name}/">{name}</a>' in text
    # Whoever sees the index is nobody at a site, but at its home by a session of its own.
    assert many.page("/s/a/", {boss.name: boss.value}).headers["Location"] == "/s/a/sign-in"
    assert many.ask("GET", "/sites/v1/jobs").status_code == 404


def test_programs_ask_the_index_with_a_key_of_its_home(many: Many) -> None:
    for name in ("a", "b"):
        assert many.api("GET", "/sites/v1/sites", many.keys[name]).status_code == 401
    assert many.ask("GET", "/sites/v1/sites").status_code == 401
    dsn = f"sqlite:///{many.file.parent}/home.db"
    with closing(open_store(DatabaseAddress.from_dsn(dsn), "wp_")) as store:
        allowed = replace(EVERYTHING, rights=("enqueue", "read", "operate", "metrics"))
        key = changing.add(store.parts, "less", allowed, expires=None, who="test")
    assert many.api("GET", "/sites/v1/sites", key.text).status_code == 403
    found = many.api("GET", "/sites/v1/sites", many.keys["home"]).json()
    assert {one["name"] for one in found["sites"]} == {"home", "a", "b"}
    assert (found["list_problem"], found["daemon_problem"]) == (None, None)
    assert {"state", "due", "oldest_due", "failed", "bad", "reason"} <= found["sites"][0].keys()


def test_the_index_shows_the_bad_sites_first_and_finds_sites(
    listed: tuple[Path, dict[str, str]],
) -> None:
    file, _ = listed
    more = '{name = "zz", dsn = "mysql://a:s3cret@127.0.0.1:1/none"}, {path = "gone"}]'
    file.write_text(file.read_text().replace("}]", f"}}, {more}"))
    with served(file) as many:
        boss = cookie_of(many.sign_in("/sites", "boss"))
        cookies = {boss.name: boss.value}

        def index(query: str = "") -> str:
            return many.page(f"/sites/{query}", cookies).text

        until(lambda: "does not answer" in index(), "the look at the bad site")
        text = index()
        names = re.findall(r'href="/s/([a-z]+)/"', text)
        assert names == ["zz", "a", "b", "home"]
        assert "gone does not exist" in text
        assert "s3cret" not in text
        assert re.findall(r'href="/s/([a-z]+)/"', index("?show=bad")) == ["zz"]
        assert re.findall(r'href="/s/([a-z]+)/"', index("?search=HO")) == ["home"]
        assert "There is no such site" in index("?search=nothing")
        # What is wrong with a site is told to who has signed in, and to nobody else.
        answer = many.page("/s/zz/")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert "127.0.0.1" not in answer.text
        assert many.ask("GET", "/s/zz/v1/actions").json()["type"].endswith(":unavailable")
        assert many.page("/s/a/").status_code == 303


def test_a_site_that_hangs_keeps_no_other_one_waiting(
    listed: tuple[Path, dict[str, str]],
) -> None:
    file, keys = listed
    with socket.create_server(("127.0.0.1", 0)) as ear:
        silent = f"mysql://a:b@127.0.0.1:{ear.getsockname()[1]}"
        more = ", ".join(f'{{name = "s{n}", dsn = "{silent}/s{n}"}}' for n in range(20))
        file.write_text(file.read_text().replace("}]", f"}}, {more}]"))
        with served(file) as many:
            asking = [threading.Thread(target=many.page, args=(f"/s/s{n}/",)) for n in range(20)]
            for thread in asking:
                thread.start()
            answer = many.api("POST", "/s/a/v1/jobs", keys["a"], json={"hook": "send"})
            assert answer.status_code == 202
            assert all(thread.is_alive() for thread in asking)
            ear.close()
            for thread in asking:
                thread.join()


def test_the_site_that_nobody_asks_for_is_closed(
    listed: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = listed
    with served(file) as many:
        many.app._sites._most = 2
        for name in ("a", "b", "a", "home"):
            assert many.page(f"/s/{name}/").status_code == 303
        assert many.app._sites.names() == ["a", "home"]
        assert many.page("/s/b/").status_code == 303
        assert many.app._sites.names() == ["home", "b"]
        monkeypatch.setattr(open_sites, "IDLE_SECONDS", 0.0)
        many.tidy()
        assert many.app._sites.names() == []
        assert many.page("/s/b/").status_code == 303


def test_who_has_failed_too_often_is_refused_after_the_site_was_closed_too(
    listed: tuple[Path, dict[str, str]],
) -> None:
    file, _ = listed
    with served(file) as many:
        many.app._sites._most = 1
        form = {"username": "anna", "password": "wrong password"}
        headers = {"Origin": many.url}

        def attempt(name: str) -> int:
            answer = many.ask("POST", f"/s/{name}/sign-in", data=form, headers=headers)
            return answer.status_code

        assert [attempt("a") for _ in range(10)] == [401] * 10
        assert attempt("b") == 401
        assert many.app._sites.names() == ["b"]
        assert attempt("a") == 429


def test_a_change_of_the_list_counts_soon(
    listed: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("wpbridge.web.many.listing.FRESH_SECONDS", 0.0)
    file, _ = listed
    with served(file) as many:
        assert many.page("/s/a/").status_code == 303
        dsn, _ = make_site(tmp_path, "new")
        told = file.read_text()
        file.write_text(
            told.replace('"a"', '"c"').replace("}]", f'}}, {{name = "new", dsn = "{dsn}"}}]')
        )
        assert many.page("/s/a/").status_code == 404
        assert many.page("/s/c/").status_code == 303
        assert many.page("/s/new/").status_code == 303
        file.write_text("sites = [")
        assert many.page("/s/new/").status_code == 303


def test_addresses_that_are_no_sites_are_not_found(many: Many) -> None:
    for path in ("/s/", "/s/none/", "/s/a.1/", "/x", "/actions", "/metrics"):
        assert many.page(path).status_code == 404, path
    assert many.page("/s/a").headers["Location"] == "/s/a/"
    assert many.ask("GET", "/livez").json() == {"status": "alive"}
    assert "<h1>" in many.page("/x").text


def test_without_a_home_nothing_starts(listed: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, _ = listed
    for home, words in ((None, "name that one with --home"), ("none", "has no site none")):
        with pytest.raises(ConfigError, match=words):
            many_sites(load({"sites": str(file), "web_home": home}, {}, tmp_path), {})
    done = call("serve", "--sites", str(file), "--home", "home", "--dry-run", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_no_configuration_of_another_user_is_read(
    listed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """It could have the gateway send what it may read to a host of its choice."""
    file, _ = listed
    folder = tmp_path / "shop"
    folder.mkdir()
    config = folder / "wp-config.php"
    dsn, _ = make_site(tmp_path, "shop")
    config.write_text("<?php this is read by nobody")
    for place in (folder, config):
        os.chown(place, NOBODY, NOBODY)
    both = f'{{name = "shop", path = "{folder}"}}, {{name = "shop2", path = "{folder}", dsn = "{dsn}"}}]'
    file.write_text(file.read_text().replace("}]", f"}}, {both}"))
    with served(file) as many:
        assert many.page("/s/shop/").status_code == 503
        assert many.page("/s/shop2/").status_code == 303


def test_the_proxy_names_people_at_the_index_too(listed: tuple[Path, dict[str, str]]) -> None:
    file, _ = listed
    told = {
        "web_proxy_header": "X-Person",
        "web_proxy_from": ("127.0.0.1",),
        "web_proxy_role": "viewer",
    }
    with served(file, **told) as many:
        for name, status in (("boss", 200), ("guest", 403), ("stranger", 403)):
            answer = many.ask("GET", "/sites/", headers={"X-Person": name})
            assert (name, answer.status_code) == (name, status)


def test_an_address_before_all_others(listed: tuple[Path, dict[str, str]]) -> None:
    file, _ = listed
    with served(file, web_base_path="/queue") as many:
        assert many.page("/queue").headers["Location"] == "/queue/sites/"
        assert many.page("/queue/s/a/").headers["Location"] == "/queue/s/a/sign-in"
        cookie = cookie_of(many.sign_in("/queue/s/a", "anna"))
        assert cookie.path == "/queue/s/a/"
        assert many.page("/s/a/").status_code == 404


def test_several_processes_serve_the_sites_and_tell_their_metrics(
    listed: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    file, keys = listed
    flags = ("--sites", str(file), "--home", "home", "--listen", "127.0.0.1:0", "--workers", "2")
    with process(tmp_path, "", *flags, "--metrics", "127.0.0.1:0") as gateway:
        url = gateway.url
        headers = {"Authorization": f"Bearer {keys['a']}"}

        def is_there() -> bool:
            return requests.get(f"{url}/s/a/v1/actions", headers=headers, timeout=60).ok

        until(is_there, "the first answer")
        other = requests.get(f"{url}/s/b/v1/actions", headers=headers, timeout=60)
        assert other.status_code == 401
        metrics = gateway.told("metrics at").split()[-1]
        until(
            lambda: (
                'wpbridge_scrape_success{site="b"} 1.0' in requests.get(metrics, timeout=60).text
            ),
            "the look",
        )
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.code() == 0
    assert "ERROR" not in "".join(gateway.lines)
