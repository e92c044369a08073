"""The ways from a real WordPress into the dashboard: wp-admin, and the site's own address.

Needs php, Debian's WordPress and MariaDB. A server of the test's own stands for `wpbridge serve`.
"""

import hashlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import jwt
import pytest
import requests

from factories import insert, make_new
from rows import column, query
from served import served
from servers import MariaDB
from stores import open_store
from upstream import Answer, Upstream, upstream
from visited import Visited, visited
from wpbridge.access.people import Forwarded, NotKnown, People, Person
from wpbridge.clock import SystemClock
from wpbridge.codec.signing import Use
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.plugin.entrance import Entrance
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.structure.creation import create_tables

Browser = Callable[[str], requests.Session]
CSP = "default-src 'none'; script-src 'self'; style-src 'self'; frame-ancestors 'none'"
BYTES = bytes(range(256)) * 40 + b"\r\n0\r\n\r\n" + "é😀".encode()


@pytest.fixture(scope="module", name="wordpress")
def made_wordpress(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(mariadb, tmp_path_factory.mktemp("visited")) as site:
        yield site


@pytest.fixture(name="site")
def cleaned_site(wordpress: Visited) -> Iterator[Visited]:
    """Without the companion plugin, and without what a test has put beside it.

    PHP has nothing to say of the companion plugin, and of the buffers that it leaves.
    """
    yield wordpress
    log = wordpress.log.read_text("utf-8", errors="replace")
    told = re.findall(r"PHP (?:Fatal|Parse|Warning|Notice|Deprecated).*", log)
    assert [one for one in told if "wpbridge.php" in one or "buffer" in one] == []
    for file in wordpress.must_use.glob("*.php"):
        if file.name != "00-place.php":
            file.unlink()


@pytest.fixture(scope="module")
def browser(wordpress: Visited) -> Browser:
    """By name, who has signed in; with an empty name, nobody."""
    of = cache(lambda name: wordpress.signed_in(name) if name else nobody())
    # Signed in before a test puts something into WordPress with which its form would not work.
    of("admin")
    return of


@pytest.fixture(name="serve")
def listening() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


def nobody() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def shown(server: Upstream | str, **more: Any) -> Entrance:
    """The entrance of a site that shows the dashboard at its own address."""
    told = server if isinstance(server, str) else server.server
    return Entrance(on_site=True, server=told, base_path="/queue", **more)


def claims(site: Visited, use: Use, token: str) -> dict[str, Any]:
    """What a token says whose signature, audience and times are right."""
    parts = site.store.parts
    told = jwt.decode(
        token,
        parts.signing.keys(use)[0],
        algorithms=["HS256"],
        audience=site_id_of(site),
        issuer="wpbridge",
        options={"require": ["exp", "iat", "jti", "sub"]},
    )
    assert re.fullmatch(r"[0-9a-f]{32}", told["jti"])
    assert abs(told["iat"] - time.time()) < 600
    return dict(told)


def site_id_of(site: Visited) -> str:
    found = site.php(
        "echo $wpdb->get_var(\"SELECT value FROM wp_wpbridge_site WHERE name = 'site_id'\");"
    )
    assert found
    return found


def csrf_of(site: Visited, serve: Upstream, session: requests.Session) -> str:
    """The nonce that the server would put into its forms."""
    session.get(f"{site.url}/wpbridge/", timeout=60)
    return str(claims(site, "forward", serve.heard[-1].headers["x-wpbridge-forward"])["csrf"])


# On the site's own address: who asks for what.


def test_a_request_is_handed_on_with_a_header_that_says_who_asks_for_what(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    target = "/wpbridge/actions/%3Cb%3E?status=pending&hook=a%20b&q=%22'"
    sent = {
        "Accept": "text/html",
        "Accept-Language": "de",
        "If-None-Match": 'W/"1\'2"',
        "HX-Request": "true",
        "HX-Current-URL": f"{site.url}/wpbridge/",
        "Authorization": "Bearer stays",
        "X-Wpbridge-Forward": "forged",
        "X-Forwarded-For": "9.9.9.9",
    }
    answer = browser("admin").get(f"{site.url}{target}", headers=sent, timeout=60)
    assert (answer.status_code, answer.content) == (200, serve.answer.body)
    [heard] = serve.heard
    path, _, query = target.removeprefix("/wpbridge").partition("?")
    assert (heard.method, heard.target) == ("GET", f"/queue{path}?{query}")
    told = claims(site, "forward", heard.headers.pop("x-wpbridge-forward"))
    assert told["exp"] - told["iat"] == 30
    assert re.fullmatch(r"[0-9a-f]{10}", told.pop("csrf"))
    for name in ("iss", "aud", "iat", "exp", "jti"):
        del told[name]
    assert told == {
        "sub": "admin",
        "role": "admin",
        "method": "GET",
        "path": f"/queue{path}",
        "query": query,
        "body_sha256": hashlib.sha256(b"").hexdigest(),
        "base": "/wpbridge",
        "checked": False,
        "address": "127.0.0.1",
    }
    assert heard.headers == {
        "host": serve.server.removeprefix("tcp://"),
        "connection": "close",
        "accept-encoding": "identity",
        "accept": "text/html",
        "accept-language": "de",
        "if-none-match": 'W/"1\'2"',
        "hx-request": "true",
        "hx-current-url": f"{site.url}/wpbridge/",
    }


def test_the_gateway_knows_who_is_handed_on_once(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    csrf = csrf_of(site, serve, browser("shop"))
    form = {"id": "17", "csrf": csrf}
    browser("shop").post(f"{site.url}/wpbridge/actions/run?x=%20", data=form, timeout=60)
    heard = serve.heard[-1]
    path, _, query = heard.target.partition("?")
    people = People(site.store.parts)

    def known(**changes: Any) -> Forwarded:
        asked = {"method": heard.method, "path": path, "query": query, "body": heard.body}
        return people.forwarded(heard.headers["x-wpbridge-forward"], **{**asked, **changes})

    for change in ({"path": "/queue/actions/delete"}, {"query": "x= "}, {"body": b""}):
        with pytest.raises(NotKnown):
            known(**change)
    person = Person(name="site:shop", role="operator", source="site")
    assert known() == Forwarded(
        person=person, base_path="/wpbridge", csrf=csrf, is_checked=True, address="127.0.0.1"
    )
    with pytest.raises(NotKnown):
        known()


OF_ALL = (("read", "viewer"), ("manage_options", "admin"))
OF_EDITORS = (("editor", "operator"),)


@pytest.mark.parametrize(
    ("people", "roles"),
    [
        (None, {"admin": "admin", "shop": "operator", "reader": None}),
        (OF_ALL, {"admin": "viewer", "shop": "viewer", "reader": "viewer"}),
        (OF_EDITORS, {"admin": None, "shop": "operator", "reader": None}),
        ((), {"admin": None}),
    ],
)
def test_the_first_capability_that_fits_gives_the_role(
    site: Visited,
    serve: Upstream,
    browser: Browser,
    people: tuple[Any, ...] | None,
    roles: dict[str, str | None],
) -> None:
    site.install(shown(serve) if people is None else shown(serve, people=people))
    for name, role in roles.items():
        serve.heard.clear()
        answer = browser(name).get(f"{site.url}/wpbridge/", timeout=60)
        if role is None:
            assert (answer.status_code, serve.heard) == (403, [])
            assert "Your account may not see the dashboard" in answer.text
        else:
            assert answer.status_code == 200
            [heard] = serve.heard
            told = claims(site, "forward", heard.headers["x-wpbridge-forward"])
            assert (told["sub"], told["role"]) == (name, role)


def test_who_is_not_signed_in_is_sent_to_wordpress_to_sign_in(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    session = nobody()
    url = f"{site.url}/wpbridge/actions/17?tab=log&x=1"
    answer = session.get(url, allow_redirects=False, timeout=60)
    assert answer.status_code == 302
    where = urlsplit(answer.headers["Location"])
    assert (where.path, parse_qs(where.query)["redirect_to"]) == ("/wp-login.php", [url])
    given = {"log": "admin", "pwd": "the password of all", "redirect_to": url}
    came = session.post(answer.headers["Location"], data=given, timeout=60)
    assert (came.url, came.content) == (url, serve.answer.body)
    assert [heard.target for heard in serve.heard] == ["/queue/actions/17?tab=log&x=1"]
    # Given: no page can lead there
    for method, headers in (("POST", {}), ("HEAD", {}), ("GET", {"HX-Request": "true"})):
        refused = nobody().request(method, url, headers=headers, allow_redirects=False, timeout=60)
        assert refused.status_code == 401, method
        assert "/wp-login.php?redirect_to=" in refused.headers["HX-Redirect"]
    forged = nobody()
    name = next(one.name for one in browser("admin").cookies if "logged_in" in one.name)
    forged.cookies.set(name, "admin|9999999999|token|hash")
    assert forged.get(url, allow_redirects=False, timeout=60).status_code == 302
    assert len(serve.heard) == 1


def test_a_change_needs_a_nonce_of_that_very_person(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    url = f"{site.url}/wpbridge/actions/run?x=1"
    admin = browser("admin")
    csrf, others = csrf_of(site, serve, admin), csrf_of(site, serve, browser("shop"))
    another_session = csrf_of(site, serve, site.signed_in("admin"))
    serve.heard.clear()
    forms: list[dict[str, str]] = [{}, {"csrf": ""}, {"csrf": "0123456789"}, {"csrf": others}]
    forms += [{"csrf[]": csrf}, {"csrf": another_session}, {"_wpnonce": csrf}]
    for form in forms:
        answer = admin.post(url, data=form, headers={"Origin": site.url}, timeout=60)
        assert (answer.status_code, serve.heard) == (403, []), form
    query = admin.post(f"{url}&csrf={csrf}", timeout=60)
    assert (query.status_code, serve.heard) == (403, [])
    # When: it comes from the form, and when from a header
    body = f"id=17&note=%22quoted%22+%5C&csrf={csrf}"
    kind = "application/x-www-form-urlencoded"
    admin.post(url, data=body, headers={"Content-Type": kind}, timeout=60)
    text = '{"a": "\\u00e9"}'
    as_json = {"Content-Type": "application/json", "X-Wpbridge-Csrf": csrf}
    admin.post(url, data=text, headers=as_json, timeout=60)
    for heard, sent, content_type in zip(
        serve.heard, (body, text), (kind, "application/json"), strict=True
    ):
        assert (heard.method, heard.target) == ("POST", "/queue/actions/run?x=1")
        assert (heard.body, heard.headers["content-type"]) == (sent.encode(), content_type)
        assert not {"cookie", "origin", "x-wpbridge-csrf"} & heard.headers.keys()
        told = claims(site, "forward", heard.headers["x-wpbridge-forward"])
        assert told["body_sha256"] == hashlib.sha256(sent.encode()).hexdigest()
        assert (told["checked"], told["method"], told["csrf"]) == (True, "POST", csrf)


def test_what_the_dashboard_never_takes_is_refused(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    admin, url = browser("admin"), f"{site.url}/wpbridge/actions"
    headers = {"X-Wpbridge-Csrf": csrf_of(site, serve, admin)}
    serve.heard.clear()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = admin.request(method, url, headers=headers, timeout=60)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    files = admin.post(url, files={"a": b"x"}, headers=headers, timeout=60)
    assert files.status_code == 415
    large = admin.post(url, data=b"x" * (1 << 20) + b"y", headers=headers, timeout=60)
    assert large.status_code == 413
    odd = (
        "..",
        "../wp-login.php",
        "%2e%2E/v1",
        "a/%2e/b",
        "a//b",
        "a%2fb",
        "a%5Cb",
        "a\\b",
        "a%00",
    )
    for path in odd:
        assert site.raw("GET", f"/wpbridge/{path}", admin)[0] == 404, path
    assert serve.heard == []
    just = admin.post(url, data=b"x" * (1 << 20), headers=headers, timeout=60)
    assert (just.status_code, len(serve.heard[0].body)) == (200, 1 << 20)


# On the site's own address: what comes back.


def test_the_answer_comes_back_unchanged_and_is_kept_by_nobody(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    head = "\r\n".join(
        (
            "HTTP/1.1 409 Conflict",
            "Content-Type: text/plain; charset=x",
            f"content-security-policy: {CSP}",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: same-origin",
            "Location: /wpbridge/actions?a=1",
            'ETag: W/"one"',
            "HX-Trigger: done",
            "Set-Cookie: session=of-the-server",
            "Cache-Control: public, max-age=9",
            "Expires: Fri, 01 Jan 2100 00:00:00 GMT",
            "Server: uvicorn",
        )
    )
    for answer_of in (Answer(head, BYTES), Answer(head, BYTES, chunks=1000)):
        serve.answer = answer_of
        answer = browser("admin").get(f"{site.url}/wpbridge/", allow_redirects=False, timeout=60)
        assert (answer.status_code, answer.content) == (409, BYTES)
        told = {name.lower(): value for name, value in answer.headers.items()}
        for name in ("date", "host", "connection", "x-powered-by", "content-length"):
            told.pop(name, None)
        assert told == {
            "content-type": "text/plain; charset=x",
            "content-security-policy": CSP,
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "location": "/wpbridge/actions?a=1",
            "etag": 'W/"one"',
            "hx-trigger": "done",
            "cache-control": "private, no-store",
            "x-robots-tag": "noindex, nofollow",
        }
    serve.answer = Answer('HTTP/1.1 304 Not Modified\r\nETag: "1"', b"")
    assert browser("admin").get(f"{site.url}/wpbridge/", timeout=60).status_code == 304
    serve.answer = Answer("HTTP/1.1 200 OK\r\nContent-Type: text/css", b"")
    head_of = browser("admin").head(f"{site.url}/wpbridge/static/app.css", timeout=60)
    assert (head_of.status_code, head_of.headers["Content-Type"]) == (200, "text/css;charset=UTF-8")
    assert serve.heard[-1].method == "HEAD"


def test_an_answer_that_is_not_whole_is_none(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    broken = (
        Answer(body=b"<b>not-all" * 9, cut=1),
        Answer(body=b"<b>not-all" * 9, chunks=7, cut=4),
        Answer(head="SSH-2.0-<b>not-all"),
        Answer(head="HTTP/1.1 999 no"),
    )
    for serve.answer in broken:
        answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
        assert answer.status_code == 502
        assert (
            f"What answers at {serve.server} took too long, or is not wpbridge serve."
            in answer.text
        )
        assert "not-all" not in answer.text


def test_a_server_that_is_away_is_named_in_plain_words(site: Visited, browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        away = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    hostile = f"unix:///tmp/<script>{os.getpid()}"
    escaped = f"unix:///tmp/&lt;script&gt;{os.getpid()}"
    for server, told in ((away, away), (hostile, escaped)):
        site.install(shown(server))
        answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
        assert answer.status_code == 502
        assert f"wpbridge serve is not running at {told}" in answer.text
        assert "<script" not in answer.text
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_only_this_host_is_ever_asked(site: Visited, serve: Upstream, browser: Browser) -> None:
    port = serve.server.rpartition(":")[2]
    for server in (
        f"tcp://localhost:{port}",
        f"tcp://0.0.0.0:{port}",
        f"tcp://127.0.0.1@9.9.9.9:{port}",
        "",
        "file:///etc/passwd",
    ):
        site.install(shown(server))
        answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
        assert (answer.status_code, serve.heard) == (502, []), server
        assert "run wpbridge wp install-plugin again" in answer.text


def test_a_unix_socket_is_asked_too(site: Visited, browser: Browser, tmp_path: Path) -> None:
    with upstream(str(tmp_path / "s.sock")) as serve:
        site.install(shown(serve))
        answer = browser("admin").get(f"{site.url}/wpbridge/x", timeout=60)
        assert answer.content == serve.answer.body
        assert serve.heard[0].headers["host"] == "localhost"


def test_without_a_signing_secret_nobody_is_handed_on(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    site.php("$wpdb->query('RENAME TABLE wp_wpbridge_secrets TO wp_aside');")
    try:
        answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
    finally:
        site.php("$wpdb->query('RENAME TABLE wp_aside TO wp_wpbridge_secrets');")
    assert (answer.status_code, serve.heard) == (502, [])
    assert "no signing secret on this site yet: run wpbridge init" in answer.text


# On the site's own address: other plugins, and other sites.

NOISE = """<?php
ini_set( 'display_errors', '1' );
echo "\\xEF\\xBB\\xBF";
echo $undefined_here;
header( 'X-Other: noise' ); header( "Content-Security-Policy: script-src *" ); header( 'Cache-Control: public' );
add_filter( 'pre_http_request', function () { return new WP_Error( 'refused' ); } );
add_action( 'init', function () { echo 'NOISE'; ob_start(); echo 'NOISE'; setcookie( 'theirs', '1' ); }, 1 );
add_action( 'shutdown', function () { echo 'NOISE'; while ( ob_get_level() && @ob_end_flush() ); echo 'NOISE'; } );
register_shutdown_function( function () { while ( ob_get_level() && @ob_end_clean() ); echo 'NOISE'; } );
"""


def test_what_other_plugins_print_does_not_get_into_it(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    serve.answer = Answer(f"HTTP/1.1 200 OK\r\nContent-Security-Policy: {CSP}", BYTES)
    (site.must_use / "zz-noise.php").write_text(NOISE, "utf-8")
    answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
    assert answer.content == BYTES
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "X-Other" not in answer.headers
    assert "theirs=1" in answer.headers["Set-Cookie"]
    # Given: something is printed before anybody could keep it back
    (site.must_use / "01-early.php").write_text("<?php echo str_repeat( ' ', 70000 ); flush();")
    answer = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
    assert "01-early.php has printed something before it, at line 1" in answer.text
    assert BYTES not in answer.content


CONSTANTS = """<?php
add_action( 'init', function () {
    header( 'X-Seen: ' . json_encode( array( defined( 'DONOTCACHEPAGE' ), defined( 'DONOTCACHEDB' ) ) ) );
    if ( isset( $_GET['stop'] ) ) { exit; }
} );
"""


def test_caches_of_pages_are_told_to_leave_it_alone(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    site.install(shown(serve))
    (site.must_use / "zz-seen.php").write_text(CONSTANTS)
    seen = {
        path: browser("admin").get(f"{site.url}{path}?stop=1", timeout=60).headers["X-Seen"]
        for path in ("/wpbridge/", "/", "/wpbridges/", "/a/wpbridge/")
    }
    assert seen == dict.fromkeys(seen, "[false,false]") | {"/wpbridge/": "[true,true]"}


def test_nothing_changes_where_the_dashboard_is_not_shown(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    before = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
    assert (before.status_code, before.text) == (404, "no page of the site")
    site.install(Entrance(url="https://queue.example", server=serve.server))
    after = browser("admin").get(f"{site.url}/wpbridge/", timeout=60)
    assert (after.status_code, after.text, serve.heard) == (404, before.text, [])
    # Given: it is shown on another site of the network
    companion.install(site.must_use, "wp_2_", Ownership(dashboard=shown(serve)))
    assert browser("admin").get(f"{site.url}/wpbridge/", timeout=60).status_code == 404
    site.install(shown(serve))
    for path in ("/wpbridges/", "/x/wpbridge/", "/WPBRIDGE/", "/?x=/wpbridge/"):
        browser("admin").get(f"{site.url}{path}", timeout=60)
    assert serve.heard == []
    bare = browser("admin").get(f"{site.url}/wpbridge?a=1", allow_redirects=False, timeout=60)
    assert (bare.status_code, bare.headers["Location"]) == (302, f"{site.url}/wpbridge/?a=1")


def test_a_site_in_a_folder_and_one_that_rewrites_no_addresses(
    mariadb: MariaDB, tmp_path: Path, serve: Upstream
) -> None:
    with visited(mariadb, tmp_path, "/blog") as site:
        site.install(shown(serve))
        admin = site.signed_in("admin")
        entry = f"{site.url}/wp-admin/tools.php?page=wpbridge"
        assert admin.get(entry, timeout=60).url == f"{site.url}/wpbridge/"
        site.php("update_option( 'permalink_structure', '' );")
        assert (
            admin.get(f"{entry}&to=/actions/17", timeout=60).url
            == f"{site.url}/index.php/wpbridge/actions/17"
        )
        bases = [
            claims(site, "forward", one.headers["x-wpbridge-forward"])["base"]
            for one in serve.heard
        ]
        assert bases == ["/blog/wpbridge", "/blog/index.php/wpbridge"]
        assert [one.target for one in serve.heard] == ["/queue/", "/queue/actions/17"]
        outside = admin.get(f"{site.url.removesuffix('/blog')}/wpbridge/", timeout=60)
        assert (outside.text, len(serve.heard)) == ("no page of the site", 2)


# From wp-admin.


def entered(session: requests.Session, site: Visited, more: str = "") -> requests.Response:
    url = f"{site.url}/wp-admin/tools.php?page=wpbridge{more}"
    return session.get(url, allow_redirects=False, timeout=60)


def test_the_entry_under_tools_signs_the_person_in_at_the_dashboards_address(
    site: Visited, browser: Browser
) -> None:
    site.install(Entrance(url="https://queue.example/q"))
    ids = set()
    for name, role in (("admin", "admin"), ("shop", "operator")):
        page = browser(name).get(f"{site.url}/wp-admin/tools.php", timeout=60)
        assert (
            'href="tools.php?page=wpbridge"' in page.text
            or "href='tools.php?page=wpbridge'" in page.text
        )
        answer = entered(browser(name), site)
        assert answer.status_code == 302
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "private, no-store"
        address, _, token = answer.headers["Location"].partition("?token=")
        assert address == "https://queue.example/q/enter"
        told = claims(site, "login", token)
        assert (told["sub"], told["role"], told["exp"] - told["iat"]) == (name, role, 60)
        assert set(told) == {"iss", "aud", "sub", "role", "iat", "exp", "jti"}
        ids.add(told["jti"])
        signed_in = People(site.store.parts).enter(token, "203.0.113.9").person
        assert (signed_in.name, signed_in.role) == (f"wordpress:{name}", role)
    assert len(ids) == 2
    page = browser("reader").get(f"{site.url}/wp-admin/", timeout=60)
    assert "page=wpbridge" not in page.text
    assert entered(browser("reader"), site).status_code == 403
    assert "/wp-login.php" in entered(nobody(), site).headers["Location"]


def test_a_path_survives_the_way_and_leads_nowhere_else(site: Visited, browser: Browser) -> None:
    site.install(Entrance(url="https://queue.example"))
    kept = "/actions?status=failed&group=a%20b"
    for given in (kept, "/actions/17"):
        answer = entered(browser("admin"), site, f"&to={quote(given, safe='')}")
        assert unquote(answer.headers["Location"].partition("&to=")[2]) == given
    for given in (
        "//evil.example/",
        "https://evil.example",
        "/\\evil.example",
        "/%0d%0aX:%20y",
        "/a%0a",
        "actions",
        "/a%23b",
        "/%00",
        "/a/../../evil",
        "/a/..",
        "/a//evil",
    ):
        assert "&to=" not in entered(browser("admin"), site, f"&to={given}").headers["Location"]
    assert "&to=" not in entered(browser("admin"), site, "&to[]=/a").headers["Location"]


FILTER = "<?php add_filter( 'wpbridge_dashboard_url', function ( $url ) { return VALUE; } );"


def test_a_filter_changes_the_address_or_switches_the_links_off(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    theirs = site.must_use / "zz-filter.php"
    for entrance in (Entrance(url="https://queue.example"), shown(serve)):
        site.install(entrance)
        theirs.write_text(FILTER.replace("VALUE", "'https://other.example/' . strlen( $url )"))
        answer = entered(browser("admin"), site)
        assert answer.headers["Location"].startswith("https://other.example/")
        assert claims(site, "login", answer.headers["Location"].partition("?token=")[2])
        for off in ("''", "'javascript:alert(1)'", "array()"):
            theirs.write_text(FILTER.replace("VALUE", off))
            page = browser("admin").get(f"{site.url}/wp-admin/tools.php", timeout=60)
            assert "page=wpbridge" not in page.text, off
            assert entered(browser("admin"), site).status_code == 403
    site.install(Entrance())
    theirs.write_text(FILTER.replace("VALUE", "'https://other.example'"))
    assert (
        entered(browser("admin"), site)
        .headers["Location"]
        .startswith("https://other.example/enter?")
    )


def test_where_nothing_is_set_the_page_says_what_to_set(site: Visited, browser: Browser) -> None:
    site.install(Entrance())
    page = entered(browser("admin"), site)
    assert page.status_code == 200
    for word in (
        "on_site = true",
        "url = &quot;",
        "[web]",
        "wpbridge wp install-plugin",
        "wpbridge serve",
    ):
        assert word.replace("&quot;", '"') in page.text, word
    assert "wpbridge keeps no actions from PHP on this site." in page.text
    site.install(Entrance(url="https://queue.example"))
    site.php("$wpdb->query('RENAME TABLE wp_wpbridge_secrets TO wp_aside');")
    try:
        page = entered(browser("admin"), site)
    finally:
        site.php("$wpdb->query('RENAME TABLE wp_aside TO wp_wpbridge_secrets');")
    assert "has made no signing secret on this site yet" in page.text


# From the pages of the plugin, and from Site Health.


def test_each_row_of_the_plugins_page_leads_to_its_action(
    site: Visited, serve: Upstream, browser: Browser
) -> None:
    if not site.has_plugin:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    action = int(
        site.php("echo as_schedule_single_action( time() + 9999, 'later', array( '<b>' => 1 ) );")
    )
    url = f"{site.url}/wp-admin/tools.php?page=action-scheduler"
    site.install(shown(serve))
    page = browser("admin").get(url, timeout=60).text
    assert f'<a href="{site.url}/wpbridge/actions/{action}">Action {action} in wpbridge</a>' in page
    assert f'<a href="{site.url}/wpbridge/">Open the dashboard of wpbridge</a>' in page
    site.install(Entrance(url="https://queue.example"))
    page = browser("admin").get(url, timeout=60).text
    [link] = re.findall(rf'<a href="([^"]+)">Action {action} in wpbridge</a>', page)
    answer = browser("admin").get(link.replace("&#038;", "&"), allow_redirects=False, timeout=60)
    assert answer.headers["Location"].endswith(f"&to=%2Factions%2F{action}")
    site.install(Entrance())
    page = browser("admin").get(url, timeout=60).text
    assert f"Action {action} in wpbridge" not in page
    assert "Open the dashboard" not in page


# With the gateway itself behind it.

# As plugins for sites behind a proxy do it.
THEIR_ADDRESS = "<?php $_SERVER['REMOTE_ADDR'] = '203.0.113.9';"


@pytest.mark.parametrize("base_path", ["", "/queue"])
def test_somebody_opens_the_dashboard_from_wp_admin_by_one_click_and_changes_something(
    site: Visited, browser: Browser, tmp_path: Path, base_path: str
) -> None:
    now = SystemClock().now()
    # Not due, since pages of wp-admin have the plugin run what is.
    [action] = insert(site.store, make_new("later_<b>", due_in=3600, now=now), now=now)
    (site.must_use / "01-address.php").write_text(THEIR_ADDRESS)
    text = f'[web]\nbase_path = "{base_path}"\non_site = true\n'
    (tmp_path / "wpbridge.toml").write_text(text)
    with served(tmp_path, site.dsn, "--listen", "127.0.0.1:0") as gateway:
        server = gateway.url.removesuffix(base_path).replace("http://", "tcp://")
        site.install(Entrance(on_site=True, server=server, base_path=base_path))
        shop = browser("shop")
        page = shop.get(f"{site.url}/wp-admin/tools.php?page=wpbridge", timeout=60)
        assert (page.url, page.status_code) == (f"{site.url}/wpbridge/", 200), page.text
        policy = page.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["Cache-Control"] == "private, no-store"
        assert not {"Set-Cookie", "Server"} & page.headers.keys()
        links = set(re.findall(r'(?:href|src|action)="([^"#]+)"', page.text))
        assert all(link.startswith("/wpbridge/") for link in links if link.startswith("/")), links
        [style] = [link for link in links if ".css" in link]
        asked = shop.get(f"http://{site.host}{style}", timeout=60)
        direct = requests.get(f"{gateway.url}{style.removeprefix('/wpbridge')}", timeout=60)
        assert (asked.status_code, asked.content) == (200, direct.content)
        # When: the person cancels the action by a button of its page
        url = f"{site.url}/wpbridge/actions/{action}"
        of_action = shop.get(url, timeout=60)
        assert "later_&lt;b&gt;" in of_action.text
        begin = of_action.text.index('action="/wpbridge/changes/cancel"')
        form = dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', of_action.text[begin:]))
        cancel = f"{site.url}/wpbridge/changes/cancel"
        unasked = shop.post(cancel, data={**form, "csrf": "0123456789"}, timeout=60)
        assert unasked.status_code == 403
        assert column(site.store, "status", action) == "pending"
        done = shop.post(cancel, data=form, timeout=60)
        assert (done.status_code, done.url.partition("?")[0]) == (200, url), done.text
        assert column(site.store, "status", action) == "canceled"
        [(who, verb, detail)] = query(
            site.store,
            "SELECT who, verb, detail FROM wp_wpbridge_audit ORDER BY audit_id DESC LIMIT 1",
        )
        assert (who, verb) == ("site:shop", "cancel")
        assert "203.0.113.9" in str(detail)
        # When: it is opened at an address of its own
        site.install(Entrance(url=gateway.url))
        link = entered(shop, site, f"&to=/actions/{action}").headers["Location"]
        person = nobody()
        came = person.get(link, timeout=60)
        assert (came.status_code, f"{base_path}/actions/{action}" in came.text) == (200, True)
        assert "later_&lt;b&gt;" in person.get(f"{gateway.url}/actions/{action}", timeout=60).text
        assert nobody().get(link, timeout=60).status_code == 403, "the link counts once"


# A network: each of its sites has its own queue, and its own dashboard.

HOST = "network.test"
NETWORK = """
define( 'WP_INSTALLING_NETWORK', true );
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/schema.php';
foreach ( $wpdb->tables( 'ms_global' ) as $table => $name ) { $wpdb->$table = $name; }
install_network();
$done = populate_network( 1, 'network.test', 'a@site.test', 'Network', '/', false );
if ( is_wp_error( $done ) && 'no_wildcard_dns' !== $done->get_error_code() ) { exit( $done->get_error_message() ); }
"""
CONSTANTS_OF_A_NETWORK = """<?php
define( 'MULTISITE', true ); define( 'SUBDOMAIN_INSTALL', false );
define( 'DOMAIN_CURRENT_SITE', 'network.test' ); define( 'PATH_CURRENT_SITE', '/' );
define( 'SITE_ID_CURRENT_SITE', 1 ); define( 'BLOG_ID_CURRENT_SITE', 1 );
"""
SECOND = """
$id = wpmu_create_blog( 'network.test', '/two/', 'Two', get_user_by( 'login', 'shop' )->ID );
if ( is_wp_error( $id ) ) { exit( $id->get_error_message() ); }
switch_to_blog( $id ); update_option( 'permalink_structure', '/%postname%/' ); echo $wpdb->prefix;
"""
COOKIE = """
$id = get_user_by( 'login', 'NAME' )->ID; $end = time() + 999;
$token = WP_Session_Tokens::get_instance( $id )->create( $end );
echo LOGGED_IN_COOKIE, '=', rawurlencode( wp_generate_auth_cookie( $id, $end, 'logged_in', $token ) );
"""


def test_each_site_of_a_network_shows_its_own_to_its_own_people(
    mariadb: MariaDB, tmp_path: Path, serve: Upstream
) -> None:
    with visited(mariadb, tmp_path) as site:
        site.become_network(NETWORK, CONSTANTS_OF_A_NETWORK)
        assert site.php(SECOND, HOST) == "wp_2_"
        entrance = shown(serve, people=(("manage_options", "admin"),))
        companion.install(site.must_use, "wp_2_", Ownership(dashboard=entrance))
        way = connect(DatabaseAddress.from_dsn(site.dsn), "wp_2_")
        create_tables(way, everything=True)
        way.close()
        with closing(open_store(DatabaseAddress.from_dsn(site.dsn), "wp_2_")) as store:
            store.parts.signing.make()
            cookies = {
                name: site.php(COOKIE.replace("NAME", name), HOST) for name in ("shop", "reader")
            }

            def asked(name: str, path: str) -> requests.Response:
                headers = {"Host": HOST, "Cookie": cookies[name]}
                url = f"http://{site.host}{path}"
                return nobody().get(url, headers=headers, allow_redirects=False, timeout=60)

            assert asked("shop", "/two/wpbridge/x").content == serve.answer.body
            [heard] = serve.heard
            header = heard.headers["x-wpbridge-forward"]
            known = People(store.parts).forwarded(
                header, method="GET", path="/queue/x", query="", body=b""
            )
            assert (known.person.name, known.person.role) == ("site:shop", "admin")
            assert known.base_path == "/two/wpbridge"
            assert asked("reader", "/two/wpbridge/x").status_code == 403
            assert asked("shop", "/wpbridge/x").status_code == 404
            assert len(serve.heard) == 1
