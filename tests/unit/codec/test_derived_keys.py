"""Keys derived from a signing secret. The expected values were computed with PHP's hash_hmac()."""

from typing import Any

import pytest

from wpbridge.codec import signing

ZEROS = bytes(32)
COUNTED = bytes(range(32))
KEYS = {
    "wake": (
        "9977b1b5b4ec0e6e2ac74e742ae38952ff1f00b13edf5d8b1818ef7c29bfcdaf",
        "45bd62b4fc192e8823686655060516172a1003515a0e84b22459ab9916be6fd8",
    ),
    "job-token": (
        "b4be509625672331688b7bb93bbcf9d5c0c74ab5b638397a561e6a30f22b2ce0",
        "951a7d8cdfc123008f08256fff1df427362887eb77a0140fdff61c44863c18a2",
    ),
    "ticket": (
        "c2a66dc8d0fc8f6b94959c63c82dad099cb1b4335cf26c5ba13cef0f01213123",
        "1901740018dfba16053293b2a451c41b82f3a0c61f1eeface007c3562e088f46",
    ),
    "login": (
        "23872fea5481ace87bb70e1e2b98ac2b6f01fae67e6997413497c5357f446467",
        "694f5f1ca4b5949529b1d9dd0e48993629bbf95227278d3e7c9ec87084e1120c",
    ),
    "forward": (
        "c38879970305e2a7ad98f4eeff38e914e6bc8996e7700ce3c1038021aa814d7b",
        "3482889ff42cc51c1e218843929f44f21fef35ffd7c064abd099affef0398580",
    ),
    "callback": (
        "436ae04b409d7d2007dafaa2dd3a7970759efd740f5af576ce4fb72b521291f7",
        "ec5c9983b28801ebfe962cea39272dbba2310407c571a7b24165b4d45caa228f",
    ),
    "session": (
        "a27751fbe0c29f62a1a8ee11f01dafd528c076991f23193046bfaaf90be7868c",
        "15a68d3880fcd18ad028da01214fe682f219b94d4f569776e18af745f60d969f",
    ),
}


@pytest.mark.parametrize("use", signing.USES)
def test_each_use_has_a_key_of_its_own(use: signing.Use) -> None:
    found = tuple(signing.derived_key(secret, use).hex() for secret in (ZEROS, COUNTED))
    assert found == KEYS[use]


@pytest.mark.parametrize("use", ["fingerprint", "", "Wake", "wake/v1", None])
def test_there_is_no_key_for_anything_else(use: Any) -> None:
    with pytest.raises(ValueError, match="no key is derived for"):
        signing.derived_key(ZEROS, use)


def test_a_fingerprint_is_short_and_no_part_of_the_secret_or_a_key() -> None:
    assert signing.fingerprint(ZEROS) == "2d04a39b"
    assert signing.fingerprint(COUNTED) == "b37d0a8b"


@pytest.mark.parametrize(
    "text",
    ["", "00" * 31, "00" * 33, "00" * 31 + "0g", "AB" * 32, " " + "00" * 32, "00" * 32 + "\n"],
)
def test_only_64_small_digits_are_a_secret(text: str) -> None:
    assert signing.secret_of(text) is None
    assert signing.secret_of(COUNTED.hex()) == COUNTED
