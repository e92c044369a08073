"""Who looks at the dashboard: each way in, and each way that must fail, on both databases."""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from rows import change, query
from tokens_by_hand import signed
from wordpress_people import BLAKE, BLAKE_PASSWORD, WordPress, entries
from wpbridge.access import user_changes, user_hashes
from wpbridge.access.attempts import MOST_OF_BOTH, WINDOW_SECONDS
from wpbridge.access.known_people import KEPT_SECONDS
from wpbridge.access.people import Forwarded, NotKnown, People, Person, SignedIn, TooMany
from wpbridge.codec.signing import USES, Use, derived_key
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect, opened
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.runner_store import RunnerStore

PASSWORD = "correct horse battery"
OTHER = "another long staple"
WHO = "cli:anna@host"
CSRF = "abcdef0123"


pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture(name="parts")
def opened_parts(store: RunnerStore) -> OpenStore:
    assert store.parts.signing.keys("session")
    return store.parts


@pytest.fixture
def people(parts: OpenStore, clock: FakeClock) -> People:
    return People(parts, clock=clock)


@pytest.fixture
def wordpress(store: RunnerStore) -> WordPress:
    return WordPress(store)


@pytest.fixture
def others(dsn: str, parts: OpenStore, clock: FakeClock) -> Iterator[People]:
    """The same people as another process sees them."""
    assert parts.own.facts is not None
    it = People(opened(connect(DatabaseAddress.from_dsn(dsn), "wp_")), clock=clock)
    yield it
    it.close()


def add(parts: OpenStore, name: str = "anna", role: str = "operator") -> None:
    user_changes.add(parts, name, PASSWORD, role=role, who=WHO)


def sign_in(people: People, name: str = "anna", password: str = PASSWORD) -> SignedIn:
    return people.sign_in(name, password, "10.0.0.1")


def refusal(people: People, name: str, password: str, address: str = "10.0.0.1") -> str:
    with pytest.raises(NotKnown) as raised:
        people.sign_in(name, password, address)
    return str(raised.value)


def audited(parts: OpenStore) -> list[tuple[str, str, str]]:
    return [(one.who, one.verb, one.thing) for one in reversed(parts.audit.latest(99))]


# Users of wpbridge


def test_a_user_signs_in_and_is_known_by_the_cookie(
    parts: OpenStore, people: People, others: People, store: RunnerStore
) -> None:
    add(parts)
    done = sign_in(people, " Anna ")
    assert done.person == Person(name="user:anna", role="operator", source="user")
    assert done.seconds == 8 * 3600
    assert re.fullmatch(r"[A-Za-z0-9._-]+", done.cookie)
    for it in (people, others):
        assert it.of_cookie(done.cookie) == done.person
        assert it.remembered(done.cookie) == done.person
    assert done.person.may("viewer")
    assert not done.person.may("admin")
    assert [user.used_at is not None for user in parts.users.all()] == [True]
    assert audited(parts)[-1] == ("user:anna", "sign-in", "user:anna")
    assert json.loads(parts.audit.latest(1)[0].detail)["address"] == "10.0.0.1"
    rows = str(query(store, "SELECT * FROM wp_wpbridge_sessions"))
    assert "user:anna" in rows
    assert all(part not in rows for part in done.cookie.split("."))


def test_names_and_passwords_that_are_wrong_get_one_text_and_a_comparison_each(
    parts: OpenStore, people: People, wordpress: WordPress, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    wordpress.add("ben", entries(BLAKE))
    wordpress.add("ed", entries(BLAKE), b'a:1:{s:6:"editor";b:1;}')
    compared: list[str | None] = []
    fits = user_hashes.fits

    def seen(password: str, stored: str | None) -> bool:
        compared.append(stored)
        return fits(password, stored)

    monkeypatch.setattr(user_hashes, "fits", seen)
    wrong = [
        ("anna", OTHER),
        ("anna", ""),
        ("anna", PASSWORD.upper()),
        ("anna", f"{PASSWORD} "),
        ("anna", "x" * 100_000),
        ("anna", "\ud800"),
        ("anna\0", PASSWORD),
        ("anna\n", OTHER),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("x" * 100_000, PASSWORD),
        ("' OR 1=1 -- ", PASSWORD),
        ("\ud800", PASSWORD),
        ("ben", BLAKE_PASSWORD[::-1]),
        ("ed", BLAKE_PASSWORD),  # known, without a role
    ]
    found = {
        refusal(people, name, password, f"10.0.1.{number}")
        for number, (name, password) in enumerate(wrong)
    }
    assert len(found) == 1
    assert len(compared) == len(wrong)
    assert parts.sessions.all() == []


def test_a_hash_of_others_or_one_that_would_keep_us_busy_fits_nothing(
    parts: OpenStore, people: People, store: RunnerStore
) -> None:
    add(parts)
    [[good]] = query(store, "SELECT password_hash FROM wp_wpbridge_users")
    for number, stored in enumerate(
        (
            "",
            PASSWORD,
            str(good).replace("m=1024", "m=1048576"),
            str(good).replace("t=1", "t=4000000"),
            str(good).replace("argon2id", "argon2i"),
            str(good)[:-9],
            str(good).replace("$", "é", 1),
            "$argon2id$v=19$m=x,t=3,p=1$é$é",
        )
    ):
        change(store, "UPDATE wp_wpbridge_users SET password_hash = :it", it=stored)
        refusal(people, "anna", PASSWORD, f"10.0.1.{number}")
    change(store, "UPDATE wp_wpbridge_users SET password_hash = :it", it=str(good))
    assert sign_in(people).person.name == "user:anna"


def test_a_hash_with_old_parameters_is_made_anew(
    parts: OpenStore, people: People, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    monkeypatch.setattr(user_hashes, "_TIMES", 2)
    user_hashes._hasher.cache_clear()
    [[before]] = query(store, "SELECT password_hash FROM wp_wpbridge_users")
    sign_in(people)
    [[after]] = query(store, "SELECT password_hash FROM wp_wpbridge_users")
    assert "t=1," in str(before)
    assert "t=2," in str(after)
    sign_in(people)
    assert query(store, "SELECT password_hash FROM wp_wpbridge_users") == [(after,)]


def test_the_same_letters_in_another_spelling_are_the_same_password(
    parts: OpenStore, people: People
) -> None:
    user_changes.add(parts, "anna", "cafe\u0301 au lait", role="viewer", who=WHO)
    assert sign_in(people, password="caf\u00e9 au lait").person.role == "viewer"


def test_what_ends_a_users_sessions(
    parts: OpenStore, people: People, others: People, clock: FakeClock
) -> None:
    deeds: list[Callable[[str], object]] = [
        people.sign_out,
        lambda _: user_changes.set_password(parts, "anna", OTHER, who=WHO),
        lambda _: user_changes.remove(parts, "anna", who=WHO),
        lambda _: others.revoke("user:anna", who=WHO),
        lambda _: others.revoke(None, who=WHO),
        lambda _: change_role_to_none(parts),
    ]
    for place, deed in enumerate(deeds):
        if parts.users.find("anna"):
            user_changes.remove(parts, "anna", who=WHO)
        add(parts)
        cookies = [sign_in(people).cookie for _ in range(2)]
        for it in (people, others):
            assert [it.of_cookie(one) is not None for one in cookies] == [True, True]
        deed(cookies[0])
        clock.at += timedelta(seconds=KEPT_SECONDS)
        ended = [True, place != 0]  # who signs out elsewhere stays signed in here
        for it in (people, others):
            assert [it.of_cookie(one) is None for one in cookies] == ended, place
            assert [it.remembered(one) is None for one in cookies] == ended, place


def change_role_to_none(parts: OpenStore) -> None:
    parts.users.set_role("anna", "root", who=WHO)


def test_a_removed_users_session_is_not_that_of_a_new_one_of_the_name(
    parts: OpenStore, people: People, clock: FakeClock
) -> None:
    add(parts)
    cookie = sign_in(people).cookie
    user_changes.remove(parts, "anna", who=WHO)
    add(parts, role="admin")
    clock.at += timedelta(seconds=KEPT_SECONDS)
    assert people.of_cookie(cookie) is None


def test_a_users_role_is_looked_up_anew(parts: OpenStore, people: People, clock: FakeClock) -> None:
    add(parts)
    cookie = sign_in(people).cookie
    user_changes.set_role(parts, "anna", "viewer", who=WHO)
    clock.at += timedelta(seconds=KEPT_SECONDS)
    found = people.of_cookie(cookie)
    assert found is not None
    assert found.role == "viewer"


def test_a_password_that_changes_during_a_sign_in_begins_no_session(
    parts: OpenStore, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    fits = user_hashes.fits

    def late(password: str, stored: str | None) -> bool:
        found = fits(password, stored)
        user_changes.set_password(parts, "anna", OTHER, who=WHO)
        return found

    monkeypatch.setattr(user_hashes, "fits", late)
    refusal(people, "anna", PASSWORD)
    assert parts.sessions.all() == []


# Cookies


def cookie_claims(parts: OpenStore, clock: FakeClock, **more: object) -> dict[str, object]:
    facts = parts.own.facts
    assert facts is not None
    at = int(clock.now().timestamp())
    told = {"iss": "wpbridge", "aud": facts.site_id, "iat": at, "exp": at + 3600, "sid": "x"}
    return {name: value for name, value in {**told, **more}.items() if value is not None}


def key_of(parts: OpenStore, use: Use) -> bytes:
    return parts.signing.keys(use)[0]


def test_cookies_that_this_site_has_not_made_are_nobodys(
    parts: OpenStore, people: People, clock: FakeClock, store: RunnerStore
) -> None:
    add(parts)
    sign_in(people)
    session = "known"
    digest = hashlib.sha256(session.encode()).hexdigest()
    change(store, "UPDATE wp_wpbridge_sessions SET id_hash = :it", it=digest)
    key, at = key_of(parts, "session"), int(clock.now().timestamp())

    def made(key: bytes = key, algorithm: str = "HS256", **more: object) -> str:
        return signed(cookie_claims(parts, clock, **{"sid": session} | more), key, algorithm)

    assert people.of_cookie(made()) is not None
    good = made()
    wrong = {
        "none": None,
        "empty": "",
        "no token": "x",
        "too long": good + "." + "x" * 5000,
        "not ASCII": good + "é",
        "cut": good[:-4],
        "unsigned": signed(cookie_claims(parts, clock, sid=session), b"", "none"),
        "another algorithm": made(algorithm="HS512"),
        "another secret": made(derived_key(bytes(32), "session")),
        "another site": made(aud="elsewhere"),
        "another issuer": made(iss="else"),
        "without a site": made(aud=None),
        "ended": made(iat=at - 100, exp=at),
        "too early": made(iat=at + 60, exp=at + 120),
        "too long a life": made(exp=at + 9 * 3600),
        "without an end": made(exp=None),
        "another session": made(sid="other"),
        "no session": made(sid=None),
        "a hash": made(sid=digest),
        "its parts": made(sid=[session]),
        **{f"the key of {use}": made(key_of(parts, use)) for use in USES if use != "session"},
    }
    assert [name for name, cookie in wrong.items() if people.of_cookie(cookie) is not None] == []
    for cookie in wrong.values():
        people.sign_out(cookie)
    assert people.of_cookie(made(jti="again")) is not None


def test_a_session_ends_with_its_time_by_either_clock(
    parts: OpenStore, people: People, clock: FakeClock, store: RunnerStore
) -> None:
    add(parts)
    first, second = sign_in(people).cookie, sign_in(people).cookie
    clock.at += timedelta(hours=8) - timedelta(seconds=2)
    assert people.of_cookie(first) is not None
    clock.at += timedelta(seconds=2)
    assert people.of_cookie(first) is None, "also while it is remembered"
    clock.at -= timedelta(hours=1)
    change(store, f"UPDATE wp_wpbridge_sessions SET expires_gmt = {parts.dialect.db_now}")
    assert people.of_cookie(second) is None


def test_sessions_that_are_long_over_are_removed_by_the_next_one(
    parts: OpenStore, people: People, store: RunnerStore
) -> None:
    add(parts)
    for _ in range(3):
        sign_in(people)
    days = parts.dialect.db_in(-86_400 - 5), parts.dialect.db_in(-86_400 + 100)
    rows = [str(one) for (one,) in query(store, "SELECT id_hash FROM wp_wpbridge_sessions")]
    for row, when in zip(rows, days, strict=False):
        change(
            store, f"UPDATE wp_wpbridge_sessions SET expires_gmt = {when} WHERE id_hash = :i", i=row
        )
    sign_in(people)
    left = {str(one) for (one,) in query(store, "SELECT id_hash FROM wp_wpbridge_sessions")}
    assert len(left) == 3
    assert rows[0] not in left


def test_the_end_of_a_signing_secret_ends_all_sessions(
    parts: OpenStore, people: People, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.access.tokens._AGES", (0.0, 0.0))
    add(parts)
    cookie = sign_in(people).cookie
    for is_known in (True, False):
        parts.signing.rotate(expected=parts.signing.stored()[0].fingerprint)
        clock.at += timedelta(seconds=KEPT_SECONDS)
        assert (people.of_cookie(cookie) is not None) == is_known


# Users of WordPress


def test_an_application_password_gives_the_role_of_the_first_capability(
    parts: OpenStore, people: People, wordpress: WordPress, clock: FakeClock
) -> None:
    wordpress.add("anna", entries(BLAKE))
    wordpress.add("ed", entries(BLAKE), b'a:2:{s:10:"edit_posts";b:1;s:14:"manage_options";b:0;}')
    done = sign_in(people, "ANNA", " ".join(BLAKE_PASSWORD))
    assert done.person == Person(name="wordpress:anna", role="admin", source="wordpress")
    assert done.seconds == 3600
    assert people.of_cookie(done.cookie) == done.person
    mine = People(parts, people={"edit_posts": "viewer", "manage_options": "operator"}, clock=clock)
    assert sign_in(mine, "ed", BLAKE_PASSWORD).person.role == "viewer"
    assert sign_in(mine, "anna", BLAKE_PASSWORD).person.role == "operator"
    refusal(People(parts, people={}, clock=clock), "anna", BLAKE_PASSWORD)
    assert people.revoke("wordpress:anna", who=WHO) == 2
    assert people.of_cookie(done.cookie) is None


def test_a_name_may_be_one_of_wpbridge_and_one_of_wordpress(
    parts: OpenStore, people: People, wordpress: WordPress
) -> None:
    add(parts, role="viewer")
    wordpress.add("anna", entries(BLAKE))
    assert sign_in(people).person.name == "user:anna"
    assert sign_in(people, password=BLAKE_PASSWORD).person.name == "wordpress:anna"


def test_failures_are_limited_and_end_with_time(
    parts: OpenStore, people: People, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    for number in range(MOST_OF_BOTH):
        refusal(people, "anna" if number % 2 else " ANNA ", OTHER)
    with monkeypatch.context() as patched:
        patched.setattr(user_hashes, "fits", None)  # nothing is compared any more
        with pytest.raises(TooMany) as refused:
            sign_in(people)
    assert refused.value.retry_after_seconds == WINDOW_SECONDS
    assert people.sign_in("anna", PASSWORD, "10.0.0.2").person.name == "user:anna"
    clock.at += timedelta(seconds=WINDOW_SECONDS)
    assert sign_in(people).person.name == "user:anna"


def test_few_passwords_are_compared_at_once(
    parts: OpenStore, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    busy, most = threading.Semaphore(0), []
    fits = user_hashes.fits

    def counted(password: str, stored: str | None) -> bool:
        busy.release()
        found = fits(password, stored)
        most.append(busy._value)
        assert busy.acquire(blocking=False)
        return found

    monkeypatch.setattr(user_hashes, "fits", counted)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: sign_in(people).person.name, range(12)))
    assert done == ["user:anna"] * 12
    assert 1 <= max(most) <= 2


def test_who_would_wait_behind_others_who_wait_is_refused_at_once(
    parts: OpenStore, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(parts)
    gate, inside = threading.Event(), threading.Semaphore(0)
    fits = user_hashes.fits

    def slow(password: str, stored: str | None) -> bool:
        inside.release()
        gate.wait(60)
        return fits(password, stored)

    monkeypatch.setattr(user_hashes, "fits", slow)
    refused = threading.Event()

    def come(_number: int) -> bool:
        try:
            sign_in(people)
        except TooMany:
            refused.set()
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        coming = [pool.submit(come, number) for number in range(5)]
        assert inside.acquire(timeout=60)
        assert refused.wait(60)
        gate.set()
        assert [one.result() for one in coming].count(False) == 1
    assert sign_in(people).person.name == "user:anna"


# Logins that wp-admin hands on


def login(parts: OpenStore, clock: FakeClock, key: bytes | None = None, **more: object) -> str:
    at = int(clock.now().timestamp())
    told = {"sub": "anna", "role": "operator", "jti": secrets.token_hex(16), "exp": at + 60}
    claims = cookie_claims(parts, clock, **{**told, "sid": None, **more})
    return signed(claims, key or key_of(parts, "login"), "HS256")


def test_a_login_of_wp_admin_begins_a_session_once(
    parts: OpenStore, people: People, others: People, clock: FakeClock
) -> None:
    token = login(parts, clock)
    done = people.enter(token, "10.0.0.1")
    assert done.person == Person(name="wordpress:anna", role="operator", source="wordpress")
    assert done.seconds == 3600
    assert others.of_cookie(done.cookie) == done.person
    for it in (people, others):
        with pytest.raises(NotKnown):
            it.enter(token, "10.0.0.1")
    assert len(parts.sessions.all()) == 1


def test_logins_that_must_not_count(parts: OpenStore, people: People, clock: FakeClock) -> None:
    at = int(clock.now().timestamp())
    wrong = {
        "nothing": "",
        "another secret": login(parts, clock, derived_key(bytes(32), "login")),
        "another site": login(parts, clock, aud="elsewhere"),
        "another issuer": login(parts, clock, iss="else"),
        "ended": login(parts, clock, iat=at - 60, exp=at),
        "too long": login(parts, clock, exp=at + 61),
        "too early": login(parts, clock, iat=at + 30, exp=at + 60),
        "without an end": login(parts, clock, exp=None),
        "a text for an end": login(parts, clock, exp=str(at + 60)),
        "no role": login(parts, clock, role="root"),
        "without a role": login(parts, clock, role=None),
        "roles": login(parts, clock, role=["admin"]),
        "without a person": login(parts, clock, sub=None),
        "a person without a name": login(parts, clock, sub=""),
        "control characters": login(parts, clock, sub="an\nna"),
        "right to left": login(parts, clock, sub="an\u202ena"),
        "a long name": login(parts, clock, sub="x" * 256),
        "without an id": login(parts, clock, jti=None),
        "a short id": login(parts, clock, jti="x"),
        **{
            f"the key of {use}": login(parts, clock, key_of(parts, use))
            for use in USES
            if use != "login"
        },
    }
    said = set()
    for name, token in wrong.items():
        try:
            people.enter(token, "10.0.0.1")
        except NotKnown as error:
            said.add(str(error))
        else:
            pytest.fail(name)
    assert len(said) == 1
    assert parts.sessions.all() == []


def test_of_two_processes_with_one_login_one_lets_in(
    parts: OpenStore, people: People, others: People, clock: FakeClock
) -> None:
    for _ in range(5):
        token, barrier = login(parts, clock), threading.Barrier(2)

        def enter(
            it: People, token: str = token, barrier: threading.Barrier = barrier
        ) -> SignedIn | None:
            barrier.wait()
            try:
                return it.enter(token, "10.0.0.1")
            except NotKnown:
                return None

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(enter, (people, others)))
        assert found.count(None) == 1


def test_used_ids_are_removed_when_they_count_no_more(
    parts: OpenStore, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.store.rows.nonces._REMOVE_EVERY_SECONDS", 0.0)
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
    assert [parts.nonces.use(one) for one in (*digests, digests[0])] == [True, True, True, False]
    change(
        store,
        f"UPDATE wp_wpbridge_nonces SET until_gmt = {parts.dialect.db_now} WHERE digest = :it",
        it=digests[1],
    )
    assert not parts.nonces.use(digests[2])
    left = {str(one) for (one,) in query(store, "SELECT digest FROM wp_wpbridge_nonces")}
    assert left == {digests[0], digests[2]}


# Requests that the companion plugin hands on

REQUEST: dict[str, Any] = {"method": "POST", "path": "/recurring/run", "query": "a=1&b=%C3%A9"}
BODY = b"hook=send_mail"


def header(parts: OpenStore, clock: FakeClock, key: bytes | None = None, **more: object) -> str:
    told = {
        "sub": "anna",
        "role": "operator",
        "jti": secrets.token_hex(16),
        "body_sha256": hashlib.sha256(BODY).hexdigest(),
        "base": "/index.php/wpbridge",
        "csrf": CSRF,
        "checked": True,
        **REQUEST,
    }
    claims = cookie_claims(parts, clock, **{**told, "sid": None, "exp": None, **more})
    return signed(claims, key or key_of(parts, "forward"), "HS256")


def forwarded(people: People, told: str, **more: Any) -> Forwarded:
    return people.forwarded(told, **{**REQUEST, "body": BODY, **more})


def test_a_request_that_the_companion_hands_on_is_known_once(
    parts: OpenStore, people: People, others: People, clock: FakeClock
) -> None:
    told = header(parts, clock)
    found = forwarded(people, told)
    assert found == Forwarded(
        person=Person(name="site:anna", role="operator", source="site"),
        base_path="/index.php/wpbridge",
        csrf=CSRF,
        is_checked=True,
    )
    for it in (people, others):
        with pytest.raises(NotKnown):
            forwarded(it, told)
    for base in ("", "/wpbridge", "/a/b~c/w%C3%A9", "/.well/x..y"):
        look = header(parts, clock, base=base, method="GET", checked=False)
        seen = forwarded(others, look, method="GET")
        assert (seen.base_path, seen.is_checked) == (base, False)
    addresses = {
        "203.0.113.9": "203.0.113.9",
        "2001:DB8::1": "2001:db8::1",
        "<b>": "",
        7: "",
        None: "",
    }
    for given, address in addresses.items():
        assert forwarded(others, header(parts, clock, address=given)).address == address


def test_a_header_fits_one_request_and_no_other(
    parts: OpenStore, people: People, clock: FakeClock
) -> None:
    told = header(parts, clock)
    for other in (
        {"method": "GET"},
        {"method": "post"},
        {"path": "/recurring/run/"},
        {"path": "/"},
        {"path": "/RECURRING/run"},
        {"query": ""},
        {"query": "b=%C3%A9&a=1"},
        {"query": "a=1&b=é"},
        {"query": "a=1&b=\udce9"},
        {"body": b""},
        {"body": BODY + b"\n"},
    ):
        with pytest.raises(NotKnown):
            forwarded(people, told, **other)
    assert forwarded(people, told).person.name == "site:anna", "nothing of that has used it up"


def test_headers_that_must_not_count(parts: OpenStore, people: People, clock: FakeClock) -> None:
    at = int(clock.now().timestamp())
    wrong: dict[str, dict[str, Any]] = {
        "another site": {"aud": "elsewhere"},
        "another issuer": {"iss": "else"},
        "too old": {"iat": at - 31},
        "too early": {"iat": at + 31},
        "no time": {"iat": None},
        "a text for a time": {"iat": str(at)},
        "ended": {"exp": at},
        "an unreadable end": {"exp": "x"},
        "no role": {"role": "none"},
        "without a role": {"role": None},
        "control characters": {"sub": "an\x00na"},
        "nobody": {"sub": ""},
        "without an id": {"jti": None},
        "an id with other characters": {"jti": "a" * 20 + "'"},
        "not checked": {"checked": False},
        "checked by a text": {"checked": "true"},
        "checked by a number": {"checked": 1},
        "checked by nobody": {"checked": None},
        "a base elsewhere": {"base": "//evil.example"},
        "a base that climbs": {"base": "/a/../b"},
        "a base with a host": {"base": "https://evil.example"},
        "a base with markup": {"base": '/"><script>'},
        "a base with a slash at its end": {"base": "/wpbridge/"},
        "without a base": {"base": None},
        "without a nonce": {"csrf": None},
        "an empty nonce": {"csrf": ""},
        "a nonce with markup": {"csrf": '"><b>'},
        "without a query": {"query": None},
        "without a path": {"path": None},
        "without a body": {"body_sha256": None},
        "without a method": {"method": None},
    }
    told = {name: header(parts, clock, **more) for name, more in wrong.items()}
    told |= {
        f"the key of {use}": header(parts, clock, key_of(parts, use))
        for use in USES
        if use != "forward"
    }
    told["another secret"] = header(parts, clock, derived_key(bytes(32), "forward"))
    told["nothing"] = ""
    said = set()
    for name, one in told.items():
        try:
            forwarded(people, one)
        except NotKnown as error:
            said.add(str(error))
        else:
            pytest.fail(name)
    assert len(said) == 1
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        unchecked = header(parts, clock, method=method, checked=False)
        if method in {"GET", "HEAD"}:
            assert not forwarded(people, unchecked, method=method).is_checked
        else:
            with pytest.raises(NotKnown):
                forwarded(people, unchecked, method=method)


def test_a_header_may_be_half_a_minute_old_and_an_empty_query_is_one(
    parts: OpenStore, people: People, clock: FakeClock
) -> None:
    at = int(clock.now().timestamp())
    for iat in (at - 30, at + 30):
        forwarded(people, header(parts, clock, iat=iat, query=""), query="")


# Proxies


def test_a_proxys_header_counts_from_its_addresses_alone(
    parts: OpenStore, clock: FakeClock
) -> None:
    add(parts)
    named = ("10.0.0.5", "192.168.0.0/24", "fd00::/8", "unix")
    people = People(parts, proxy_header="X-U", proxy_from=named, clock=clock)
    known = Person(name="proxy:Anna", role="operator", source="proxy")
    for address in ("10.0.0.5", "192.168.0.77", "::ffff:10.0.0.5", "fd00::1", ""):
        assert people.of_proxy(" Anna ", address) == known
    for address in ("10.0.0.6", "192.168.1.1", "::1", "127.0.0.1", "x", "10.0.0.5:80", "unix"):
        assert people.of_proxy("anna", address) is None
    assert people.of_proxy(None, "") is None
    assert people.of_proxy(" ", "") is None
    without = People(parts, proxy_from=named, clock=clock)
    assert without.of_proxy("anna", "10.0.0.5") is None
    closed = People(parts, proxy_header="X-U", proxy_from=("10.0.0.5",), clock=clock)
    assert closed.of_proxy("anna", "") is None


def test_whom_a_proxy_names_has_the_role_of_the_user_or_else_the_settings(
    parts: OpenStore, clock: FakeClock
) -> None:
    add(parts, role="viewer")

    def of(name: str, role: str) -> str:
        it = People(parts, proxy_header="X-U", proxy_from=("unix",), proxy_role=role, clock=clock)
        found = it.of_proxy(name, "")
        assert found is not None
        return found.role

    assert of("anna", "none") == "viewer"
    assert of("anna", "admin") == "viewer"
    assert of("ANNA", "admin") == "viewer"
    assert of("ben", "operator") == "operator"
    for name, role in (
        ("ben", "none"),
        ("an\nna", "admin"),
        ("an\x1bna", "admin"),
        ("an\u202ena", "admin"),
        ("x" * 256, "admin"),
    ):
        with pytest.raises(NotKnown):
            of(name, role)


def test_a_role_that_was_taken_away_counts_for_a_proxy_within_seconds(
    parts: OpenStore, clock: FakeClock
) -> None:
    add(parts, role="admin")
    people = People(parts, proxy_header="X-U", proxy_from=("unix",), clock=clock)
    assert people.of_proxy("anna", "") is not None
    user_changes.remove(parts, "anna", who=WHO)
    clock.at += timedelta(seconds=KEPT_SECONDS)
    with pytest.raises(NotKnown):
        people.of_proxy("anna", "")


# Tables


def test_without_the_tables_nobody_is_known_and_a_sign_in_makes_them(
    store: RunnerStore, dsn: str, parts: OpenStore, clock: FakeClock
) -> None:
    add(parts)
    cookie = sign_in(People(parts, clock=clock)).cookie
    for name in ("users", "sessions", "nonces", "audit"):
        change(store, f"DROP TABLE IF EXISTS wp_wpbridge_{name}")
    fresh = opened(connect(DatabaseAddress.from_dsn(dsn), "wp_"))
    people = People(fresh, clock=clock)
    assert people.of_cookie(cookie) is None
    assert fresh.users.all() == []
    assert fresh.sessions.all() == []
    refusal(people, "anna", PASSWORD)
    people.enter(login(parts, clock), "")
    add(fresh)
    assert sign_in(people).person.name == "user:anna"
    people.close()


def test_who_is_known_is_remembered_for_few(
    parts: OpenStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.access.known_people._MOST_KEPT", 2)
    add(parts)
    people = People(parts, clock=clock)
    cookies = [sign_in(people).cookie for _ in range(3)]
    for cookie in cookies:
        people.of_cookie(cookie)
    assert [people.remembered(one) is None for one in cookies] == [True, False, False]


def test_the_signature_of_a_cookie_is_over_all_of_it(parts: OpenStore, people: People) -> None:
    add(parts)
    head, body, mark = sign_in(people).cookie.split(".")
    key = key_of(parts, "session")
    made = hmac.digest(key, f"{head}.{body}".encode(), "sha256")
    assert len(made) * 4 // 3 <= len(mark)
    for place in range(0, len(body), 7):
        other = "A" if body[place] != "A" else "B"
        forged = f"{head}.{body[:place]}{other}{body[place + 1 :]}.{mark}"
        assert people.of_cookie(forged) is None
