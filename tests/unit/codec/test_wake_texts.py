"""Wakes: what is one, and which ones count."""

import pytest

from wpbridge.codec import wakes

KEY = b"k" * 32
NOW = 1_790_000_000.5
GOOD = wakes.write("wp_2_", now=NOW, nonce=b"\x01" * 8, key=KEY)


def test_what_is_written_is_read() -> None:
    wake = wakes.read(GOOD)
    assert wake is not None
    assert (wake.prefix, wake.sent) == ("wp_2_", int(NOW))
    assert wake.is_signed([b"another", KEY])
    assert wake.is_current(NOW)
    assert len(GOOD) <= wakes.MOST_BYTES


def test_the_signature_is_as_php_makes_it() -> None:
    """As hash_hmac( 'sha256', 'wpbridge-wake/1 wp_2_ 1790000000 0101010101010101', $key ) does."""
    assert GOOD == (
        b"wpbridge-wake/1 wp_2_ 1790000000 0101010101010101 "
        b"f0f68440ebe4963236089d13b71c2d64ea58503a709967e4d7db11d1ade2f389"
    )


def test_every_changed_byte_makes_it_worthless() -> None:
    for place in range(len(GOOD)):
        changed = GOOD[:place] + bytes([GOOD[place] ^ 1]) + GOOD[place + 1 :]
        wake = wakes.read(changed)
        assert wake is None or not wake.is_signed([KEY])


def test_other_keys_and_none_do_not_count() -> None:
    wake = wakes.read(GOOD)
    assert wake is not None
    assert not wake.is_signed([])
    assert not wake.is_signed([b"k" * 31, b""])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1",
        b"\0" * 300,
        GOOD + b"\n",
        b" " + GOOD,
        GOOD[:-1],
        GOOD.upper(),
        GOOD.replace(b"/1 ", b"/2 "),
        GOOD.replace(b"wp_2_", b"wp_\xc3\xa9"),
        GOOD.replace(b"wp_2_", b""),
        GOOD.replace(b"wp_2_", b"w" * 65),
        GOOD.replace(b"1790000000", b"-1"),
        GOOD.replace(b"1790000000", b"9" * 13),
        GOOD.replace(b"1790000000", "١٧٩".encode()),
        GOOD * 2,
        b"wpbridge-wake/1 " * 10_000,
    ],
)
def test_anything_else_is_none(message: bytes) -> None:
    assert wakes.read(message) is None


@pytest.mark.parametrize(
    ("later", "counts"), [(0, True), (59, True), (-59, True), (62, False), (-62, False)]
)
def test_it_counts_for_a_minute_by_clocks_that_differ(later: float, counts: bool) -> None:
    wake = wakes.read(GOOD)
    assert wake is not None
    assert wake.is_current(NOW + later) is counts
