"""What a person may be called, and from where a proxy's header counts."""

import pytest

from wpbridge.access.person import known_person
from wpbridge.access.proxies import Proxies
from wpbridge.site.rules import ROLES


def test_a_role_may_what_those_before_it_may() -> None:
    told = {
        role: [needed for needed in ROLES if person.may(needed)]
        for role in ROLES
        if (person := known_person("user", "anna", role))
    }
    assert told == {
        "viewer": ["viewer"],
        "operator": ["viewer", "operator"],
        "admin": ["viewer", "operator", "admin"],
    }


@pytest.mark.parametrize("role", ["", "root", "none", "Admin", None, 1, ["admin"], {"admin": 1}])
def test_what_is_no_role_makes_nobody(role: object) -> None:
    assert known_person("user", "anna", role) is None


@pytest.mark.parametrize(
    "name", ["", " anna", "an\na", "an\ta", "\x7f", "\x9b", "a\u2028b", "a\u202eb", "\ud800"]
)
def test_names_have_nothing_that_cannot_be_seen(name: str) -> None:
    assert known_person("site", name, "admin") is None
    assert known_person("site", "Zoë O'Hara <z@x.test>", "admin") is not None


def test_nothing_is_a_proxy_that_was_not_named() -> None:
    none = Proxies(())
    assert not any(none.has(one) for one in ("", "127.0.0.1", "::1", "unix"))
    both = Proxies(("127.0.0.1", "2001:db8::/32"))
    assert both.has("127.0.0.1")
    assert both.has("::ffff:127.0.0.1")
    assert both.has("2001:db8::7")
    assert not any(both.has(one) for one in ("", "127.0.0.2", "::1", "2001:db9::1", "fe80::1%eth0"))
