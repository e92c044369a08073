"""Fingerprints of many messages are those of each one, and most are worked out once."""

from random import Random
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wpbridge.telling import fingerprints
from wpbridge.telling.fingerprint import fingerprint
from wpbridge.telling.fingerprints import Fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable

Maker: TypeAlias = "Callable[[], str]"
FORMS = (
    "cURL error 28: timed out after {n} ms for https://api2.example.com/v1/orders/{n}?x={n}",
    "HTTP {n3} at /orders/{n}",
    "HTTP/1.1 {n3} Bad, status: {n3}, code {n3}",
    "<Order object at 0x{hex}> of {uuid}",
    "errno {n2}: SQLSTATE[{n5}] on 10.0.{n2}.{n2}",
    "sha{n3} md{n1} utf8mb{n1} order{n} wp_{n}_posts v{n1}.{n2}",
    "{hex} {hex}-{n} {n}{hex} {n1}x{n} 0x{n}",
    "on 20{n2}-{n2}-{n2} {n2}:{n2}:{n2}, {n}.{n2} EUR, EUR{n}, ${n}",
    "a{n2}@example{n2}.com, {n2}@{n}.org, eyJ{n}abcde.{n}",
    "http://h{n2}:{n}/p{n2}?{n}#{n} x{n1}://{n}",
)
ALPHABET = st.sampled_from(list("0123456789") + list("abcdefxXeyJ:-./@#?<>[]() $_wcorder\0"))


def made(form: str, random: Random) -> str:
    found = form
    makers: tuple[tuple[str, Maker], ...] = (
        ("{n}", lambda: str(random.randrange(10 ** random.randint(1, 9)))),
        ("{n1}", lambda: str(random.randrange(10))),
        ("{n2}", lambda: f"{random.randrange(100):02}"),
        ("{n3}", lambda: str(random.randrange(100, 1000))),
        ("{n5}", lambda: f"{random.randrange(100_000):05}"),
        ("{hex}", lambda: f"{random.getrandbits(random.choice((8, 32, 64))):x}"),
        (
            "{uuid}",
            lambda: f"{random.getrandbits(32):08x}-0a1b-4c2d-8e3f-{random.getrandbits(48):012x}",
        ),
    )
    for name, make in makers:
        while name in found:
            found = found.replace(name, make(), 1)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_messages_of_one_form_have_the_fingerprints_that_each_has_alone(form: str) -> None:
    many, random = Fingerprints(), Random(form)  # noqa: S311 - the same numbers each time
    for _ in range(300):
        message = made(form, random)
        assert many.of(message) == fingerprint(message), message


@settings(deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=40), max_size=8), st.randoms(use_true_random=False))
def test_no_message_gets_the_fingerprint_of_another(texts: list[str], random: Random) -> None:
    many = Fingerprints()
    for text in texts:
        others = [
            "".join(random.choice("0123456789") if c.isdecimal() else c for c in text)
            for _ in range(4)
        ]
        for message in (text, *others):
            assert many.of(message) == fingerprint(message)


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=4))
def test_of_any_text(texts: list[str]) -> None:
    many = Fingerprints()
    for text in texts * 2:
        assert many.of(text) == fingerprint(text)


def test_messages_of_one_shape_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(message: str) -> str:
        asked.append(message)
        return fingerprint(message)

    monkeypatch.setattr(fingerprints, "fingerprint", counted)
    many = Fingerprints()
    for number in range(1000, 2000):
        many.of(f"HTTP 500 for order {number} at https://api2.example.com/v1/{number}")
    assert len(asked) == 3
    for number in range(1000):
        many.of(f"on the host of release{number % 5}x")
    assert len(asked) == 18, "each word with a digit is a shape of its own"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "_MOST", 10)
    many = Fingerprints()
    for number in range(100):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        assert many.of(f"no {word}") == f"no {word}"
    assert len(many._known) <= 11
