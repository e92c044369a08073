"""What may be looked at: values of masked names are hidden wherever they stand, and nothing hides."""

import json

import pytest

from wpbridge.dashboard.hidden_values import MASK
from wpbridge.dashboard.shown_text import short_args, short_text, shown_args, shown_text
from wpbridge.site.web_kinds import MASK as PATTERNS

SECRET = "S3cr3t-V4lue"
HIDDEN = [
    {"password": SECRET},
    {"user": {"Password": SECRET, "name": "anna"}},
    {"api_key": SECRET},
    {"X-Api-Key": SECRET, "apiKey": SECRET},
    [{"nested": [{"client_secret": SECRET}]}],
    {"payload": json.dumps({"token": SECRET})},
    {"payload": json.dumps({"deep": json.dumps({"token": SECRET})})},
    {"url": f"https://x.example/?a=1&access_token={SECRET}&b=2"},
    {"url": f"https://anna:{SECRET}@x.example/"},
    {"header": f"Authorization: Bearer {SECRET}"},
    {"raw": f'a:1:{{s:8:"password";s:12:"{SECRET}";}}'},
    {"php": f"array('secret' => '{SECRET}')"},
    {"dsn": f"mysql://root:{SECRET}@db/x"},
    {"card_number": "4111111111111111 " + SECRET},
    {"credentials": {"a": SECRET}},
    {"tokens": [SECRET, SECRET]},
]


HIDDEN_IN_TEXTS = [
    f"password%3D{SECRET}",
    f"%22password%22%3A%22one {SECRET}%22",
    f"password=\\u0022one {SECRET}\\u0022",
    f"{{&quot;password&quot;:&quot;one {SECRET}&quot;}}",
    f"<password>one {SECRET}</password>",
    f'<wsse:Password Type="PasswordText">{SECRET}</wsse:Password>',
    f"Authorization: Negotiate {SECRET}",
    f'Authorization: Digest username="anna", response="{SECRET}"',
    f"Cookie: a=1; b={SECRET}",
    f"wp user create anna --user_pass {SECRET}",
    f'"credentials": {{"a": "}}", "b": "{SECRET}"}}',
    f"[card] => Array\n(\n    [number] => {SECRET}\n)\n",
    f"sent eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.{SECRET}",
    f"user_pass={SECRET}",
    f"pwd: {SECRET}",
    f"?consumer_key={SECRET}",
]


@pytest.mark.parametrize("text", HIDDEN_IN_TEXTS)
def test_what_is_masked_is_hidden_in_texts_of_all_forms(text: str) -> None:
    for told in (f"action failed: {text}", f"{text} and more", f"before\n{text}\nafter"):
        assert SECRET not in shown_text(told, PATTERNS).text
        assert SECRET not in short_text(told, PATTERNS)
        assert "after" in shown_text(f"before\n{text}\nafter", PATTERNS).text or "{" in text


@pytest.mark.parametrize("name", ["name", "key", "header", "Field"])
def test_a_value_beside_its_name_is_hidden(name: str) -> None:
    args = json.dumps({"headers": [{name: "X-Api-Key", "value": SECRET}]}).encode()
    assert SECRET not in shown_args(args, PATTERNS).text
    args = json.dumps({"headers": [{name: "Accept", "value": "text/html"}]}).encode()
    assert "text/html" in shown_args(args, PATTERNS).text


@pytest.mark.parametrize("value", HIDDEN, ids=repr)
def test_what_is_masked_is_hidden_wherever_it_stands(value: object) -> None:
    args = json.dumps(value).encode()
    for text in (
        shown_args(args, PATTERNS).text,
        short_args(args, PATTERNS),
        shown_text(json.dumps(value), PATTERNS).text,
        short_text(json.dumps(value), PATTERNS),
        # A text that breaks off in the middle is no JSON any more.
        shown_args(args[:-1], PATTERNS).text,
        short_args(args[:-1], PATTERNS),
    ):
        assert SECRET not in text
    assert shown_args(args, PATTERNS).is_masked


def test_other_values_are_shown() -> None:
    value = {"order": 17, "author": "anna", "url": "https://x.example/?page=2", "text": "a: b"}
    shown = shown_args(json.dumps(value).encode(), PATTERNS)
    assert json.loads(shown.text) == value
    assert not shown.is_masked
    assert not shown.is_cut


def test_what_is_hidden_is_what_the_settings_say() -> None:
    args = json.dumps({"IBAN": "DE1", "password": "x"}).encode()
    assert json.loads(shown_args(args, ("iban",)).text) == {"IBAN": MASK, "password": "x"}
    assert json.loads(shown_args(args, ()).text) == {"IBAN": "DE1", "password": "x"}


def test_nothing_that_is_not_printable_stays() -> None:
    evil = "a\x1b[31mb\u202ec\u200bd\x00e\u2028f"
    for text in (
        shown_args(json.dumps({evil: evil}).encode(), ()).text,
        shown_text(evil, ()).text,
        short_text(evil, ()),
    ):
        assert all(one.isprintable() or one == "\n" for one in text)
        assert "202e" in text
    assert shown_text("one\ntwo", ()).text == "one\ntwo"
    assert short_text("one\ntwo", ()) == "one\\ntwo"


def test_long_texts_are_cut() -> None:
    shown = shown_args(json.dumps({"a": "x" * 8000}).encode(), PATTERNS)
    assert (len(shown.text), shown.is_cut) == (2048, True)
    assert len(short_args(json.dumps({"a": "x" * 8000}).encode(), PATTERNS)) == 121
    shown = shown_text("y" * 1_000_000, PATTERNS)
    assert (len(shown.text), shown.is_cut) == (2048, True)


@pytest.mark.parametrize(
    "args", [b"", b"\xff\xfe", b"{", b"[1e999]", b"null", b'"text"', b"[" * 5000 + b"]" * 5000]
)
def test_what_cannot_be_read_is_shown_as_it_stands(args: bytes) -> None:
    assert isinstance(shown_args(args, PATTERNS).text, str)
    assert isinstance(short_args(args, PATTERNS), str)
