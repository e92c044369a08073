"""What a client's ``callback`` makes: one action, or an error that names the field."""

from typing import Any

import pytest

from wpbridge.errors import InputError
from wpbridge.queue.callbacks import CallbackRefused, callback_of
from wpbridge.queue.enqueue import Enqueue

UUID = "01935c2e-7b1a-7c3e-8f00-1234567890ab"


def made(given: object, *, allow_private: bool = False) -> Enqueue:
    return callback_of(
        given,
        uuid=UUID,
        hosts=["example.com", "127.0.0.1"],
        allow_private=allow_private,
        may_enqueue=lambda hook, group: hook.startswith("after_") and group in {"", "shop"},
    )


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ({"url": "https://example.com/x?y=z"}, {"url": "https://example.com/x?y=z"}),
        ({"url": "http://127.0.0.1:1/"}, {"url": "http://127.0.0.1:1/"}),
        ({"hook": "after_x"}, {"hook": "after_x", "group": ""}),
        ({"hook": "after_x", "group": "shop"}, {"hook": "after_x", "group": "shop"}),
    ],
)
def test_a_callback_is_an_action_of_wpbridges_own(given: object, args: dict[str, str]) -> None:
    assert made(given) == Enqueue(
        hook="wpbridge_callback", args={"job": UUID, **args}, group="wpbridge"
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (None, "callback"),
        ("https://example.com/", "callback"),
        (["https://example.com/"], "callback"),
        (7, "callback"),
        ({}, "callback"),
        ({"url": "https://example.com/", "hook": "after_x"}, "callback"),
        ({"group": "shop"}, "callback"),
        ({"url": "https://example.com/", "method": "GET"}, "callback.method"),
        ({"url": "https://example.com/", "group": "shop"}, "callback.group"),
        *(
            ({"url": url}, "callback.url")
            for url in (None, 7, "", "example.com", "ftp://example.com")
        ),
        ({"url": "https://a:b@example.com/"}, "callback.url"),
        *(({"hook": hook}, "callback.hook") for hook in (None, 7, "", "x" * 192, "a\0", "\ud800")),
        ({"hook": "wpbridge_callback"}, "callback.hook"),
        *(
            ({"hook": "after_x", "group": group}, "callback.group")
            for group in (None, 7, "x" * 256)
        ),
    ],
)
def test_anything_else_names_its_field(given: Any, field: str) -> None:
    with pytest.raises(InputError, match=rf"^{field}: ") as caught:
        made(given)
    assert not isinstance(caught.value, CallbackRefused)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "https://example.org/"}, "callback.url"),
        ({"url": "http://example.com/"}, "callback.url"),
        ({"url": "https://10.0.0.1/"}, "callback.url"),
        ({"hook": "before_x"}, "callback.hook"),
        ({"hook": "after_x", "group": "mail"}, "callback.hook"),
    ],
)
def test_what_the_key_does_not_allow_is_told_apart(given: object, field: str) -> None:
    with pytest.raises(CallbackRefused, match=rf"^{field}: "):
        made(given)
