"""Who gets which page of the dashboard, and from where a change may come: made from its tables."""

from collections.abc import Iterator

import pytest
import requests

from dashboard_site import PASSWORD, Dashboard, check_headers, dashboard, page_paths, path_of
from wpbridge import Queue
from wpbridge.site.rules import ROLES, Role, allows
from wpbridge.store.records import Query
from wpbridge.web.pages.signing_in import ROUTES
from wpbridge.web.pages.table import DEEDS, PAGES, Deed, Page

FORGED = {
    "another site": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another site, old browser": {"Origin": "https://evil.example"},
    "a sandboxed frame": {"Origin": "null"},
    "another name of the same site": {"Sec-Fetch-Site": "same-site"},
    "an address that was typed": {"Sec-Fetch-Site": "none"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a name that ends alike": {"Origin": "http://127.0.0.1.evil.example"},
    "a site that says two things": {
        "Origin": "https://evil.example",
        "Sec-Fetch-Site": "same-origin",
    },
    "nobody says from where": {},
}


pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def site(dsn: str, queue: Queue) -> Iterator[Dashboard]:
    queue.schedule_single("+1h", "mail", {"to": "anna"}, group="post")
    with dashboard(dsn) as found:
        yield found


def signature(queue: Queue) -> object:
    """All that a change of the dashboard can change."""
    rows = queue.find(Query(limit=0, order="id"))
    return rows, [queue.logs(row.id) for row in rows], queue.pauses()


def test_each_page_is_for_its_role_and_those_above_it(site: Dashboard, queue: Queue) -> None:
    [action] = queue.find()
    for page in PAGES:
        path = path_of(page.path, action.id)
        answer = site.get(path, "")
        assert answer.status_code == 303, path
        assert answer.headers["Location"].startswith("/sign-in"), path
        for role in ROLES:
            expected = 200 if allows(role, page.role) else 403
            assert site.get(path, role).status_code == expected, (path, role)


def test_each_change_is_for_its_role_and_those_above_it(site: Dashboard, queue: Queue) -> None:
    before = signature(queue)
    for deed in DEEDS:
        for role in ROLES:
            answer = site.post(deed.path, {}, role)
            # Without any field nothing can be changed, so whoever may gets to the next question.
            assert (answer.status_code == 403) == (not allows(role, deed.role)), (deed.path, role)
        assert site.post(deed.path, {}, "").status_code == 401, deed.path
        assert site.get(deed.path).status_code == 405, deed.path
    assert signature(queue) == before


def test_no_change_comes_from_elsewhere(site: Dashboard, queue: Queue) -> None:
    [action] = queue.find()
    before = signature(queue)
    form = {"id": action.id, "check": "own-tables", "sure": "yes", "hook": "mail", "at": "+1h"}
    for name, forged in FORGED.items():
        for deed in DEEDS:
            for role in (*ROLES, ""):
                answer = site.post(path_of(deed.path, action.id), form, role, headers=forged)
                expected = 403 if role else 401
                assert answer.status_code == expected, (deed.path, role, name)
        assert site.post("/sign-out", headers=forged).status_code == 403, name
    assert signature(queue) == before


def test_looking_changes_nothing(site: Dashboard, queue: Queue) -> None:
    [action] = queue.find()
    before = signature(queue)
    for path in page_paths(action.id):
        # A query that looks like a form is none.
        mark = "&" if "?" in path else "?"
        assert site.get(f"{path}{mark}id={action.id}&sure=yes&hook=mail").status_code == 200, path
        head = site.person("admin").head(f"{site.url}{path}", allow_redirects=False)
        assert (head.status_code, head.content) == (200, b""), path
    assert signature(queue) == before


def test_a_page_takes_no_post(site: Dashboard, queue: Queue) -> None:
    [action] = queue.find()
    posts = {deed.path for deed in DEEDS} | {path for path, method, _ in ROUTES if method == "POST"}
    for page in PAGES:
        if page.path not in posts:
            assert site.post(path_of(page.path, action.id)).status_code == 405, page.path


def test_every_role_is_one_that_there_is() -> None:
    rows: list[Page | Deed] = [*PAGES, *DEEDS]
    roles: set[Role] = {row.role for row in rows}
    assert roles == set(ROLES)
    assert len({row.path for row in rows}) == len(rows)


def test_a_name_that_leads_here_is_no_way_in(site: Dashboard) -> None:
    for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", ""):
        answer = site.get("/", headers={"Host": name})
        assert answer.status_code == 421, name
    for name in ("localhost", "LOCALHOST:1234", "127.0.0.2", "[::1]:80"):
        # The cookie is another name's, so this leads to the form.
        assert site.get("/", headers={"Host": name}).status_code == 303, name


def test_other_names_are_let_in_by_the_settings(dsn: str, queue: Queue) -> None:
    del queue
    told = {"web_hosts": ("queue.example",), "web_url": "https://other.example:8443"}
    with dashboard(dsn, **told) as site:
        for name in ("queue.example", "queue.example:99", "other.example"):
            assert site.get("/sign-in", "", headers={"Host": name}).status_code == 200
        assert site.get("/sign-in", "", headers={"Host": "third.example"}).status_code == 421


def test_signing_in_and_out(site: Dashboard) -> None:
    session = requests.Session()
    assert 'name="username"' in session.get(f"{site.url}/").text
    headers = {"Origin": site.origin}
    for name, password in (("admin", "wrong"), ("nobody", PASSWORD), ("", ""), ("admin", "")):
        form = {"username": name, "password": password}
        answer = session.post(f"{site.url}/sign-in", form, headers=headers)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
    form = {"username": "viewer", "password": PASSWORD, "to": "/actions?status=failed"}
    answer = session.post(f"{site.url}/sign-in", form, headers=headers, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/actions?status=failed")
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    [(name, value)] = session.cookies.items()
    assert session.get(f"{site.url}/", allow_redirects=False).status_code == 200
    session.post(f"{site.url}/sign-out", headers=headers)
    # The cookie is worth nothing any more, whoever has kept it.
    again = {"Cookie": f"{name}={value}"}
    assert (
        site.person("").get(f"{site.url}/", headers=again, allow_redirects=False).status_code == 303
    )


def test_nothing_leads_elsewhere_after_the_sign_in(site: Dashboard) -> None:
    for target in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/a/../..//evil",
        "javascript:evil",
        "/a\nevil",
        "/%2f/evil.example",
        "/../wp-admin/",
        "/actions/..",
        "/./../evil",
    ):
        form = {"username": "viewer", "password": PASSWORD, "to": target}
        answer = site.person("").post(
            f"{site.url}/sign-in", form, headers={"Origin": site.origin}, allow_redirects=False
        )
        location = answer.headers["Location"]
        assert location == "/" or (location[0] == "/" and location[1] != "/"), target
        assert "evil.example" not in location, target
        assert ".." not in location, target
        site.person("").cookies.clear()


@pytest.mark.parametrize(("base", "prefix"), [("", "__Host-"), ("/queue", "__Secure-")])
def test_a_secure_cookie_behind_https(dsn: str, queue: Queue, base: str, prefix: str) -> None:
    del queue
    with dashboard(dsn, web_url=f"https://queue.example{base}", base_path=base) as site:
        form = {"username": "viewer", "password": PASSWORD}
        headers = {"Origin": "https://queue.example"}
        answer = site.person("").post(
            f"{site.url}/sign-in", form, headers=headers, allow_redirects=False
        )
        told = answer.headers["Set-Cookie"]
        assert "; secure" in told.lower()
        assert f"; path={base}/;" in f"{told.lower()};"
        assert "domain" not in told.lower()
        # Browsers take a cookie of this name from this very host alone.
        assert told.startswith(f"{prefix}wpbridge_")
        cookie = told.partition(";")[0]
        assert site.get("/", "", headers={"Cookie": cookie}).status_code == 200


def test_below_a_base_path(dsn: str, queue: Queue) -> None:
    queue.schedule_single("+1h", "mail")
    with dashboard(dsn, base_path="/queue") as site:
        assert site.get("/", "").headers["Location"] == "/queue/sign-in"
        text = site.text("/")
        assert 'href="/queue/actions' in text
        assert 'href="/actions' not in text
        assert 'src="/queue/static/app.js' in text


def test_without_the_dashboard_there_is_the_api_alone(dsn: str, queue: Queue) -> None:
    del queue
    with dashboard(dsn, web_ui=False) as site:
        for path in ("/", "/sign-in", "/actions", "/static/app.css"):
            answer = requests.get(f"{site.url}{path}", timeout=60)
            assert answer.status_code == 404
            check_headers(answer)
        assert requests.get(f"{site.url}/livez", timeout=60).status_code == 200


def test_the_proxy_says_who_it_is_only_from_where_it_was_named(dsn: str, queue: Queue) -> None:
    del queue
    told = {"web_proxy_header": "X-Remote-User", "web_proxy_role": "viewer"}
    header = {"X-Remote-User": "operator"}
    with dashboard(dsn, **told, web_proxy_from=("127.0.0.0/8",)) as site:
        assert "proxy:operator" in site.get("/", "", headers=header).text
        assert site.get("/enqueue", "", headers=header).status_code == 200
        stranger = {"X-Remote-User": "somebody"}
        assert site.get("/", "", headers=stranger).status_code == 200
        assert site.get("/enqueue", "", headers=stranger).status_code == 403
    with dashboard(dsn, **told, web_proxy_from=("10.0.0.1",)) as site:
        assert site.get("/", "", headers=header).status_code in {303, 403}
    with dashboard(dsn, web_proxy_header="X-Remote-User") as site:
        assert site.get("/", "", headers=header).status_code in {303, 403}


def test_a_page_that_is_not_there_is_told_to_people_as_a_page(site: Dashboard) -> None:
    answer = site.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 404
    assert "there is no such page" in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert site.get("/nowhere").headers["Content-Type"] == "application/problem+json"
