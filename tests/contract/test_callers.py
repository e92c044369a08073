"""Who calls: API keys, WordPress's application passwords, and what is remembered of them."""

import base64
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from rows import change, query
from wordpress_people import ADMIN, BLAKE, BLAKE_PASSWORD, PHPASS, WordPress, entries
from wpbridge.access import changing
from wpbridge.access.attempts import MOST_OF_BOTH, WINDOW_SECONDS
from wpbridge.access.caller import Caller, NotKnown, TooMany
from wpbridge.access.callers import KEPT_SECONDS, Callers
from wpbridge.access.keys import Allowed, Key
from wpbridge.errors import Contention, InputError
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect, opened
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.api_keys import ApiKeyRecord, ApiKeys
from wpbridge.store.running.runner_store import RunnerStore

SHOP = Allowed(rights=("enqueue", "read"), hooks=("send_*",))
KEYS = "wp_wpbridge_api_keys"


@pytest.fixture(name="parts")
def opened_parts(store: RunnerStore) -> OpenStore:
    return store.parts


@pytest.fixture
def callers(parts: OpenStore, clock: FakeClock) -> Callers:
    return Callers(parts, wordpress_login=True, clock=clock)


def added(parts: OpenStore, name: str = "shop", allowed: Allowed = SHOP, **more: Any) -> Key:
    return changing.add(parts, name, allowed, **{"expires": None, "who": "cli:anna@host"} | more)


def rotated(parts: OpenStore, name: str = "shop", **more: Any) -> Key:
    told = {"keep_old": "24h", "expires": None, "who": "cli:anna@host"} | more
    return changing.rotate(parts, name, **told)[0]


def by_key(callers: Callers, key: Key | str) -> Caller:
    text = key if isinstance(key, str) else key.text
    return callers.identify(f"Bearer {text}", None, "10.0.0.1")


def unknown(callers: Callers, authorization: str | None, token: str | None = None) -> str:
    with pytest.raises(NotKnown) as raised:
        callers.identify(authorization, token, "10.0.0.1")
    return str(raised.value)


def audited(parts: OpenStore) -> list[tuple[str, str, str]]:
    return [(one.who, one.verb, one.thing) for one in reversed(parts.audit.latest(100))]


def test_a_key_is_known_by_its_text_and_the_table_has_only_its_hash(
    store: RunnerStore, parts: OpenStore, callers: Callers
) -> None:
    key = added(parts)
    caller = by_key(callers, key)
    assert (caller.name, caller.key_name) == ("key:shop", "shop")
    assert caller.may_enqueue("send_mail", "")
    assert not caller.may_enqueue("other", "")
    rows = str(query(store, f"SELECT * FROM {KEYS}"))
    rows += str(query(store, "SELECT * FROM wp_wpbridge_audit"))
    assert key.hash in rows
    assert key.secret not in rows
    assert key.hash not in str(query(store, "SELECT * FROM wp_wpbridge_audit"))


def test_what_is_no_key_is_refused_with_words_that_tell_nothing(
    parts: OpenStore, callers: Callers
) -> None:
    key = added(parts)
    words = unknown(callers, f"Bearer wpb_nobody_{key.secret}")
    for text in (
        Key("shop", "0" * 64).text,
        Key("SHOP", key.secret).text,
        key.text.upper(),
        f"wpb_shop_{key.hash}",  # whoever has read the table
        f"wpb_shop'--_{key.secret}",
    ):
        assert unknown(callers, f"Bearer {text}") == words or not text.startswith("wpb_")


def test_a_header_that_says_nothing_is_refused(callers: Callers) -> None:
    for header in ("", "Bearer", "Bearer ", "Bearer é", "Digest x", "Negotiate", "x" * 20_000):
        assert "Authorization: Bearer KEY" in unknown(callers, header)
    assert "Authorization: Bearer KEY" in unknown(callers, None)
    unknown(callers, "Bearer \0")


def test_the_scheme_may_be_in_any_case(parts: OpenStore, callers: Callers) -> None:
    key = added(parts)
    assert callers.identify(f"bEARER  {key.text} ", None, "").key_name == "shop"


def test_a_key_in_the_address_does_not_count(parts: OpenStore, callers: Callers) -> None:
    key = added(parts)
    unknown(callers, None, key.text)
    unknown(callers, f"Bearer {key.text}", key.text)


def test_a_revocation_counts_within_five_seconds_and_for_ever(
    parts: OpenStore, callers: Callers, clock: FakeClock
) -> None:
    key, other = added(parts), added(parts, "other")
    by_key(callers, key)
    assert callers.remembered(f"Bearer {key.text}", None) is not None
    assert callers.remembered(f"Bearer {other.text}", None) is None
    assert parts.api_keys.revoke("shop", who="cli:anna@host")
    assert not parts.api_keys.revoke("shop", who="cli:anna@host")
    clock.at += timedelta(seconds=KEPT_SECONDS)
    assert callers.remembered(f"Bearer {key.text}", None) is None
    unknown(callers, f"Bearer {key.text}")
    by_key(callers, other)
    with pytest.raises(InputError, match="was revoked"):
        added(parts)
    with pytest.raises(InputError, match="was revoked"):
        rotated(parts)
    unknown(callers, f"Bearer {key.text}")


def test_nothing_of_a_refused_key_is_remembered(parts: OpenStore, callers: Callers) -> None:
    key = Key("shop", "0" * 64)
    unknown(callers, f"Bearer {key.text}")
    parts.api_keys.add("shop", key.hash, rights=SHOP.as_json(), expires_seconds=None, who="x")
    assert by_key(callers, key).key_name == "shop"


def test_of_many_who_come_at_once_one_looks(
    parts: OpenStore, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, looks = added(parts), []
    find = ApiKeys.find

    def counted(self: ApiKeys, name: str) -> ApiKeyRecord | None:
        looks.append(name)
        return find(self, name)

    monkeypatch.setattr(ApiKeys, "find", counted)
    barrier = threading.Barrier(8)

    def come(_number: int) -> str:
        barrier.wait()
        return by_key(callers, key).name

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(come, range(8))) == {"key:shop"}
    assert looks == ["shop"]


def test_two_secrets_are_valid_during_a_rotation(
    store: RunnerStore, parts: OpenStore, clock: FakeClock
) -> None:
    first = added(parts)
    second = rotated(parts)
    for key in (first, second):
        assert by_key(Callers(parts, clock=clock), key).key_name == "shop"
    past = "'2020-01-01 00:00:00'"
    change(store, f"UPDATE {KEYS} SET previous_until_gmt = {past}")
    unknown(Callers(parts, clock=clock), f"Bearer {first.text}")
    by_key(Callers(parts, clock=clock), second)
    third = rotated(parts, keep_old="0")
    unknown(Callers(parts, clock=clock), f"Bearer {second.text}")
    by_key(Callers(parts, clock=clock), third)
    fourth = rotated(parts)
    unknown(Callers(parts, clock=clock), f"Bearer {second.text}")
    assert [by_key(Callers(parts, clock=clock), key).name for key in (third, fourth)]


def test_of_two_rotations_at_once_the_second_is_refused(parts: OpenStore) -> None:
    key = added(parts)
    rotated(parts)
    with pytest.raises(Contention, match="another process"):
        parts.api_keys.rotate(
            "shop", "f" * 64, expected=key.hash, keep_seconds=1, expires_seconds=None, who="x"
        )
    assert len(audited(parts)) == 2


def test_a_key_ends_at_its_date_by_the_databases_clock(
    store: RunnerStore, parts: OpenStore, clock: FakeClock
) -> None:
    key = added(parts, expires="90d")
    age = parts.dialect.age_seconds("expires_gmt")
    [[seconds]] = query(store, f"SELECT {age} FROM {KEYS}")
    assert -90 * 86_400 - 600 < int(str(seconds)) <= -90 * 86_400 + 600
    by_key(Callers(parts, clock=clock), key)
    change(store, f"UPDATE {KEYS} SET expires_gmt = {parts.dialect.db_now}")
    unknown(Callers(parts, clock=clock), f"Bearer {key.text}")
    with pytest.raises(InputError, match="has expired"):
        rotated(parts)
    new = rotated(parts, expires="1d")
    by_key(Callers(parts, clock=clock), new)


def test_the_last_use_is_noted_at_most_once_a_minute(
    store: RunnerStore, parts: OpenStore, clock: FakeClock
) -> None:
    key = added(parts)
    assert [one.used_at for one in parts.api_keys.all()] == [None]
    by_key(Callers(parts, clock=clock), key)
    [first] = parts.api_keys.all()
    assert first.used_at is not None
    assert first.use_is_noted
    ago = "'2020-01-01 00:00:00'"
    for old in (parts.dialect.db_in(-50), parts.dialect.db_in(-70), ago, parts.dialect.db_in(999)):
        change(store, f"UPDATE {KEYS} SET used_gmt = {old}")
        [[before]] = query(store, f"SELECT used_gmt FROM {KEYS}")
        by_key(Callers(parts, clock=clock), key)
        [[after]] = query(store, f"SELECT used_gmt FROM {KEYS}")
        is_recent = old == parts.dialect.db_in(-50)
        assert (str(after) == str(before)) == is_recent, old


def test_every_change_is_audited_with_who_made_it(parts: OpenStore) -> None:
    added(parts)
    with pytest.raises(InputError, match="already"):
        added(parts)
    with pytest.raises(InputError, match="already"):
        added(parts, dry_run=True)
    added(parts, "dry", dry_run=True)
    rotated(parts)
    parts.api_keys.revoke("shop", who="key:ops")
    parts.api_keys.revoke("nobody", who="key:ops")
    assert audited(parts) == [
        ("cli:anna@host", "key-add", "shop"),
        ("cli:anna@host", "key-rotate", "shop"),
        ("key:ops", "key-revoke", "shop"),
    ]
    details = [json.loads(one.detail) for one in parts.audit.latest(3)]
    assert details[2]["rights"]["hooks"] == ["send_*"]


def test_without_its_table_nobody_is_known(store: RunnerStore, dsn: str) -> None:
    change(store, f"DROP TABLE {KEYS}")
    change(store, "DROP TABLE wp_wpbridge_audit")
    parts = opened(connect(DatabaseAddress.from_dsn(dsn), "wp_"))
    assert parts.api_keys.all() == []
    assert parts.audit.latest(5) == []
    unknown(Callers(parts), f"Bearer {Key('shop', '0' * 64).text}")
    key = added(parts)
    assert by_key(Callers(parts), key).key_name == "shop"
    parts.close()


# WordPress's users

PASSWORD = "abcdEFGH1234ijklMNOP5678"


@pytest.fixture
def users(store: RunnerStore) -> Callable[..., int]:
    """Make users of WordPress, and its tables with the first one."""
    return WordPress(store).add


def basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


def logged_in(callers: Callers, login: str, password: str, address: str = "10.0.0.1") -> Caller:
    return callers.identify(basic(login, password), None, address)


def test_an_application_password_of_either_kind_is_known(
    users: Callable[..., int], callers: Callers
) -> None:
    user = users("anna", entries(BLAKE, PHPASS))
    for password in (
        PASSWORD,
        BLAKE_PASSWORD,
        " ".join(PASSWORD),
        f"{PASSWORD[:4]}-{PASSWORD[4:]}",
    ):
        caller = logged_in(callers, "anna", password)
        assert (caller.name, caller.key_name) == ("user:anna", f"user:{user}")
        assert caller.rights == {"enqueue", "read", "operate", "administer"}
        assert caller.may_enqueue("any", "group")
        assert not caller.allows_callback("example.com")
    assert logged_in(callers, "ANNA", PASSWORD).name == "user:anna"
    assert logged_in(callers, "anna@lab.test", PASSWORD).name == "user:anna"


def test_the_password_of_the_account_itself_never_counts(
    users: Callable[..., int], callers: Callers
) -> None:
    users("anna", None)
    users("ben", entries(PHPASS))
    unknown(callers, basic("anna", BLAKE_PASSWORD))
    unknown(callers, basic("ben", BLAKE_PASSWORD))


def test_wrong_logins_are_refused_with_one_text(
    users: Callable[..., int], callers: Callers, store: RunnerStore
) -> None:
    users("anna", entries(BLAKE))
    users("bad", b'O:8:"stdClass":1:{s:8:"password";s:1:"x";}')
    users("cut", entries(PHPASS)[:-5])
    users("spammer", entries(PHPASS), spam=1)
    words = unknown(callers, basic("anna", PASSWORD))
    wrong = [("nobody", PASSWORD), ("anna", ""), ("anna", "- -"), ("", PASSWORD), ("x" * 200, "x")]
    wrong += [
        (name, PASSWORD) for name in ("bad", "cut", "spammer", "an\0na", "😀", "' OR 1=1 -- ")
    ]
    fresh = iter(range(1000))
    for login, password in wrong:
        with pytest.raises(NotKnown) as raised:
            callers.identify(basic(login, password), None, f"10.1.0.{next(fresh)}")
        assert str(raised.value) == words, login
    if not store.parts.dialect.is_file:
        change(store, "ALTER TABLE wp_users CONVERT TO CHARACTER SET latin1")
        with pytest.raises(NotKnown):
            callers.identify(basic("😀", PASSWORD), None, "10.2.0.1")
    for header in ("Basic", "Basic !", "Basic YQ", "Basic /w==", "Basic Og=="):
        with pytest.raises(NotKnown):
            callers.identify(header, None, f"10.1.0.{next(fresh)}")


def test_logins_are_off_unless_they_are_switched_on(
    users: Callable[..., int], parts: OpenStore
) -> None:
    users("anna", entries(PHPASS))
    assert "not switched on" in unknown(Callers(parts), basic("anna", PASSWORD))


CAPABILITIES = [
    (ADMIN, True),
    (b'a:1:{s:6:"editor";b:1;}', False),
    (b'a:2:{s:6:"editor";b:1;s:14:"manage_options";b:1;}', True),
    (b'a:2:{s:13:"administrator";b:1;s:14:"manage_options";b:0;}', False),
    (b'a:2:{s:13:"administrator";b:1;s:14:"manage_options";s:1:"0";}', False),
    (b'a:1:{s:14:"manage_options";s:1:"1";}', True),
    (b'a:1:{s:14:"Manage_Options";b:1;}', False),
    (b'a:1:{i:0;s:14:"manage_options";}', False),
    (b'O:8:"stdClass":1:{s:14:"manage_options";b:1;}', False),
    (b"", False),
    (b"a:1:{", False),
    (None, False),
]


def test_capabilities_come_from_roles_and_from_what_is_granted(
    users: Callable[..., int], callers: Callers
) -> None:
    found = []
    for number, (capabilities, _) in enumerate(CAPABILITIES):
        users(f"user{number}", entries(BLAKE), capabilities)
        caller = logged_in(callers, f"user{number}", BLAKE_PASSWORD)
        assert bool(caller.rights) == caller.may("operate")
        found.append((capabilities, caller.may("operate")))
    assert found == CAPABILITIES


def test_the_settings_say_which_role_may_what(users: Callable[..., int], parts: OpenStore) -> None:
    users("ed", entries(PHPASS), b'a:1:{s:6:"editor";b:1;}')
    users("anna", entries(PHPASS))
    callers = Callers(parts, wordpress_login=True, roles={"editor": ("read",), "x": ("operate",)})
    assert logged_in(callers, "ed", PASSWORD).rights == {"read"}
    assert logged_in(callers, "anna", PASSWORD).rights == set()


def test_a_blog_has_capabilities_of_its_own_and_users_of_its_network(
    users: Callable[..., int], store: RunnerStore, dsn: str
) -> None:
    users("anna", entries(PHPASS), prefix="net_", base="net_")
    users("ben", entries(PHPASS), prefix="wp_", base="net_")
    way = connect(DatabaseAddress.from_dsn(dsn), "wp_", base_prefix="net_")
    blog = opened(way)
    try:
        callers = Callers(blog, wordpress_login=True)
        assert logged_in(callers, "anna", PASSWORD).rights == set()
        assert logged_in(callers, "ben", PASSWORD).may("operate")
    finally:
        blog.close()


def test_attempts_are_limited_and_end_with_time(
    users: Callable[..., int], callers: Callers, clock: FakeClock
) -> None:
    users("anna", entries(BLAKE))
    for _ in range(MOST_OF_BOTH):
        unknown(callers, basic("anna", PASSWORD))
    with pytest.raises(TooMany) as refused:
        logged_in(callers, "anna", BLAKE_PASSWORD)
    assert refused.value.retry_after_seconds == WINDOW_SECONDS
    assert logged_in(callers, "anna", BLAKE_PASSWORD, "10.0.0.2").name == "user:anna"
    clock.at += timedelta(seconds=WINDOW_SECONDS)
    assert logged_in(callers, "anna", BLAKE_PASSWORD).name == "user:anna"


def test_who_got_in_before_is_not_locked_out_by_others(
    users: Callable[..., int], store: RunnerStore, callers: Callers, clock: FakeClock
) -> None:
    users("anna", entries(BLAKE))
    logged_in(callers, "anna", BLAKE_PASSWORD)
    clock.at += timedelta(seconds=KEPT_SECONDS)
    for _ in range(MOST_OF_BOTH):
        unknown(callers, basic("anna", PASSWORD))
    with pytest.raises(TooMany):
        logged_in(callers, "anna", PASSWORD)
    assert logged_in(callers, "anna", BLAKE_PASSWORD).name == "user:anna"
    clock.at += timedelta(seconds=KEPT_SECONDS)
    change(store, "DELETE FROM wp_usermeta WHERE meta_key = '_application_passwords'")
    unknown(callers, basic("anna", BLAKE_PASSWORD))
    with pytest.raises(TooMany):
        logged_in(callers, "anna", BLAKE_PASSWORD)


def test_a_password_that_was_taken_back_counts_no_longer(
    users: Callable[..., int], store: RunnerStore, callers: Callers, clock: FakeClock
) -> None:
    users("anna", entries(PHPASS))
    logged_in(callers, "anna", PASSWORD)
    change(store, "DELETE FROM wp_usermeta WHERE meta_key = '_application_passwords'")
    assert logged_in(callers, "anna", PASSWORD).name == "user:anna", "for five seconds"
    clock.at += timedelta(seconds=KEPT_SECONDS)
    unknown(callers, basic("anna", PASSWORD))


def test_without_wordpress_nobody_can_log_in(callers: Callers) -> None:
    unknown(callers, basic("anna", PASSWORD))
