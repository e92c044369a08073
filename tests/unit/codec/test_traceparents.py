"""What is a traceparent, in Python and in the companion plugin alike."""

import re
from importlib import resources

import pytest

from wpbridge.codec import traceparents

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BAD = (
    *("", "x", GOOD.upper(), f"{GOOD}\n", f" {GOOD}", f"{GOOD}-00", f"ff{GOOD[2:]}", GOOD[:-1]),
    f"00-{'0' * 32}-b7ad6b7169203331-01",
    f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    GOOD.replace("0", "\u0660"),
)


def php_shape() -> re.Pattern[str]:
    source = (resources.files("wpbridge") / "plugin" / "traces.php").read_text("utf-8")
    found = re.search(r"const SHAPE = '/\\A(.*)\\z/'", source)
    assert found is not None
    return re.compile(found[1])


def test_a_valid_one_is_read() -> None:
    assert traceparents.checked(GOOD) == GOOD
    assert traceparents.ids_of(GOOD) == (
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        1,
    )
    assert php_shape().fullmatch(GOOD)


@pytest.mark.parametrize("text", BAD)
def test_what_is_none_is_left_out(text: str) -> None:
    assert traceparents.checked(text) == ""
    assert traceparents.ids_of(text) is None
    assert not php_shape().fullmatch(text)
