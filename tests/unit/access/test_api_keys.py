"""API keys: their text, what they allow, and how they are compared."""

import hmac
import json
from typing import Any

import pytest

from factories import NOW
from wpbridge.access import keys
from wpbridge.access.caller import Caller
from wpbridge.access.keys import Allowed, Key, check_allowed, check_name, new_key, parsed
from wpbridge.errors import InputError
from wpbridge.site.rules import RIGHTS, rate_of
from wpbridge.store.rows.api_keys import ApiKeyRecord

SECRET = "0123456789abcdef" * 4


def record(key: Key, allowed: str = "{}", **changed: Any) -> ApiKeyRecord:
    values: dict[str, Any] = {
        "name": key.name,
        "secret_hash": key.hash,
        "previous_hash": "",
        "previous_until": None,
        "previous_counts": False,
        "rights": allowed,
        "created_at": NOW,
        "expires_at": None,
        "is_expired": False,
        "revoked_at": None,
        "used_at": None,
        "use_is_noted": True,
    }
    return ApiKeyRecord(**values | changed)


def test_a_key_is_read_back_at_its_last_underscore() -> None:
    key = new_key("shop-2")
    assert parsed(key.text) == key
    assert len(bytes.fromhex(key.secret)) == 32
    assert new_key("shop-2").secret != key.secret
    assert key.secret not in repr(record(key))
    assert key.hash not in repr(record(key))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wpb_",
        "wpb__" + SECRET,
        "wpb_shop",
        f"wpb_shop_{SECRET[1:]}",
        f"wpb_shop_{SECRET}0",
        f"wpb_shop_{SECRET.upper()}",
        f"wpb_Shop_{SECRET}",
        f"WPB_shop_{SECRET}",
        f"wpb_sh_op_{SECRET}",
        f"wpb_shöp_{SECRET}",
        f"wpb_{'x' * 65}_{SECRET}",
        f"wpb_shop_{SECRET}\n",
        f" wpb_shop_{SECRET}",
        f"wpb_shop_{SECRET[:-1]}\uff10",  # a digit of full width
    ],
)
def test_what_only_looks_like_a_key_is_none(text: str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize("name", ["", "Shop", "a_b", "a b", "é", "a" * 65, "a\n", "ticket:", "a:b"])
def test_names_are_of_few_characters(name: str) -> None:
    with pytest.raises(InputError, match="the name of an API key"):
        check_name(name)


def test_the_comparison_takes_the_same_time_also_for_names_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    whole = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return whole(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    key, old = new_key("shop"), new_key("shop")
    assert keys.is_valid(key, record(key))
    assert not keys.is_valid(key, record(old))
    assert not keys.is_valid(key, None)
    assert len(compared) == 3
    two = record(key, previous_hash=old.hash, previous_counts=True)
    assert keys.is_valid(old, two)
    assert keys.is_valid(key, two)


@pytest.mark.parametrize("ended", [{"is_expired": True}, {"revoked_at": NOW}])
def test_an_ended_key_counts_with_neither_secret(ended: dict[str, Any]) -> None:
    key, old = new_key("shop"), new_key("shop")
    row = record(key, previous_hash=old.hash, previous_counts=True, **ended)
    assert not keys.is_valid(key, row)
    assert not keys.is_valid(old, row)


def test_an_old_secret_counts_until_its_date_and_an_empty_one_never() -> None:
    key, old = new_key("shop"), new_key("shop")
    assert not keys.is_valid(old, record(key, previous_hash=old.hash))
    assert record(key, previous_counts=True).hashes == (key.hash,)


def test_a_row_of_another_name_does_not_count() -> None:
    key = new_key("shop")
    assert not keys.is_valid(Key("other", key.secret), record(key))


def caller(**allowed: Any) -> Caller:
    return keys.caller_of(record(new_key("shop"), Allowed(**allowed).as_json()))


def test_nothing_is_allowed_that_is_not_named() -> None:
    nobody = caller()
    assert [right for right in RIGHTS if nobody.may(right)] == []
    assert not nobody.may_enqueue("send_mail", "")
    assert not nobody.allows_callback("example.com")
    assert not nobody.may_see("shop")
    assert not caller(hooks=("*",)).may_enqueue("send_mail", "")
    operator = caller(rights=("operate",))
    assert operator.may("operate")
    assert not operator.may("read")
    assert not operator.may("enqueue")
    assert not operator.may_see("shop")


@pytest.mark.parametrize(
    ("pattern", "hook", "fits"),
    [
        ("send_mail", "send_mail", True),
        ("send_mail", "Send_mail", False),
        ("send_mail", "send_mail ", False),
        ("send_*", "send_", True),
        ("send_*", "resend_mail", False),
        ("mail[eu]", "mail[eu]", True),
        ("mail[eu]", "maile", False),
        ("a.c", "abc", False),
        ("*", "anything\nat all", True),
        ("?", "é", True),
    ],
)
def test_hooks_are_patterns_of_wpbridge(pattern: str, hook: str, *, fits: bool) -> None:
    assert caller(rights=("enqueue",), hooks=(pattern,)).may_enqueue(hook, "") == fits


def test_a_group_must_be_named_and_no_group_need_not() -> None:
    one = caller(rights=("enqueue",), hooks=("*",), groups=("mail*",))
    assert one.may_enqueue("h", "")
    assert one.may_enqueue("h", "mailing")
    assert not one.may_enqueue("h", "Mail")
    assert not caller(rights=("enqueue",), hooks=("*",)).may_enqueue("h", "mail")


def test_a_key_sees_its_own_jobs_and_an_operator_who_reads_all() -> None:
    reader = caller(rights=("read",))
    assert reader.may_see("shop")
    assert not reader.may_see("other")
    assert caller(rights=("read", "operate")).may_see("other")


def test_hosts_of_callbacks_are_compared_in_one_spelling() -> None:
    hosts = ("Hooks.Example.com.", "*.shop.test", "[::1]", "münchen.de", "127.0.0.1")
    told = check_allowed(
        rights=("enqueue",), hooks=("*",), groups=(), rate=None, callback_hosts=hosts
    )
    one = caller(rights=("enqueue",), callback_hosts=told.callback_hosts)
    for host in ("hooks.example.COM", "a.b.shop.test", "::1", "[0:0::1]", "xn--mnchen-3ya.de"):
        assert one.allows_callback(host), host
    for host in ("example.com", "hooks.example.com.evil.test", "shop.test", "127.0.0.2", "", "a b"):
        assert not one.allows_callback(host), host


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rights": ()}, "--allow"),
    ({"rights": ("write",)}, "not 'write'"),
    ({"rights": ("enqueue",), "hooks": ()}, "--hooks: name the hooks"),
    ({"rights": ("read",)}, "--hooks is for keys that may enqueue"),
    ({"hooks": ("",)}, "a pattern is not empty"),
    ({"rate": "fast"}, "--rate"),
    ({"rate": "0/s"}, "--rate"),
    ({"rate": "5/0s"}, "--rate"),
    ({"callback_hosts": ("https://example.com",)}, "--callback-hosts"),
    ({"callback_hosts": ("example.com:443",)}, "--callback-hosts"),
    ({"callback_hosts": ("",)}, "--callback-hosts"),
    ({"callback_hosts": ("[example.com]",)}, "--callback-hosts"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_what_is_wrong_with_a_new_key_is_said(wrong: dict[str, Any], words: str) -> None:
    right: dict[str, Any] = {
        "rights": ("enqueue",),
        "hooks": ("*",),
        "groups": (),
        "rate": "100/s",
        "callback_hosts": (),
    }
    check_allowed(**right)
    with pytest.raises(InputError, match=words):
        check_allowed(**right | wrong)


@pytest.mark.parametrize(
    "damaged", ["", "null", "[]", "{}", '{"allow": "enqueue"}', '{"allow": ["operate"]}']
)
def test_a_damaged_row_allows_nothing(damaged: str) -> None:
    assert keys.read_allowed(damaged) == Allowed()


def test_what_a_key_allows_is_read_back() -> None:
    for rate in ("100/s", "6000/1m", "5/90s", None):
        told = Allowed(
            rights=("enqueue", "read"),
            hooks=("send_*", "é"),
            groups=("*",),
            rate=None if rate is None else rate_of(rate),
            callback_hosts=("example.com",),
        )
        assert keys.read_allowed(told.as_json()) == told
        assert json.loads(told.as_json())["allow"] == ["enqueue", "read"]
