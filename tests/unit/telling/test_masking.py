"""Messages of errors without the args of their action."""

import json
from typing import Any

import pytest

from factories import stored
from wpbridge.telling.masking import masked


def told(message: str, args: Any) -> str:
    text = args if isinstance(args, bytes) else json.dumps(args).encode()
    return masked(message, stored(args=text))


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("no stock for Alice Miller", ["Alice Miller"], "no stock for <arg>"),
        ("no stock for ALICE", ["Alice Miller"], "no stock for <arg>"),
        ("bad mail bob@shop.example!", {"mail": "bob@shop.example"}, "bad mail <arg>!"),
        ("order 4711 is gone", [4711], "order <arg> is gone"),
        ("order4711 is gone", [4711], "<arg> is gone"),
        ("order 4712 is gone", [4711], "order <n> is gone"),
        ("12.5 is too little", [12.5], "<arg>.<n> is too little"),
        ("xxAlicexx", ["Alice"], "<arg>"),
        ("it ends in Ali", ["Alice"], "it ends in Ali"),
        ("it ends in Alic", ["Alice"], "it ends in <arg>"),
        ("missing email", {"email": "x"}, "missing email"),
        ("missing a b", {"a b c12": 1}, "missing a b"),
        ("c12 is missing", {"a b c12": 1}, "<arg> is missing"),
        ("'Zo\\xeb' is unknown", ["Zo\u00eb"], "'<arg>' is unknown"),
        ('"Zo\\u00eb" is unknown', ["Zo\u00eb"], '"<arg>" is unknown'),
        (
            "\u65e5\u672c\u8a9e \u304c\u306a\u3044",
            ["\u65e5\u672c\u8a9e"],
            "<arg> \u304c\u306a\u3044",
        ),
        ("deep down", [[{"a": [["down"]]}]], "deep <arg>"),
        ("true and None stay", [True, None], "true and None stay"),
        ("nothing was given", [], "nothing was given"),
    ],
)
def test_words_of_the_args_are_masked(message: str, args: Any, expected: str) -> None:
    found = told(message, args)
    assert found == expected


def test_what_cannot_be_read_sends_nothing() -> None:
    assert told("no stock for Alice", b'["Alice"') == ""
    assert masked("no stock for Alice", None) == ""


def test_too_many_words_send_nothing() -> None:
    assert told("word 7", [f"word{n}" for n in range(1000)]) == ""


def test_a_long_arg_leaves_no_beginning() -> None:
    secret = "s3cr3t" * 500
    assert "s3cr3t" not in told(f"refused: {secret[:900]}", [secret])
    assert "s3cr3t" not in told(f"refused: {secret}", [secret])
