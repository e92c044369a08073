"""Hashes of passwords: their parameters, and what is no password."""

import pytest

from wpbridge.access import user_hashes
from wpbridge.errors import InputError

PASSWORD = "correct horse battery"


def test_a_hash_takes_memory_and_fits_its_password_alone() -> None:
    stored = user_hashes.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert len(stored) < 255
    assert stored != user_hashes.hashed(PASSWORD), "each has a salt of its own"
    assert user_hashes.fits(PASSWORD, stored)
    assert not user_hashes.fits(PASSWORD.title(), stored)
    assert not user_hashes.fits("", stored)
    assert not user_hashes.fits(PASSWORD, None)
    assert not user_hashes.is_outdated(stored)


@pytest.mark.parametrize("password", ["0123456789", "é" * 1000, "with spaces in it", "密码" * 5])
def test_what_a_password_may_be(password: str) -> None:
    user_hashes.check_new(password)


@pytest.mark.parametrize(
    "password",
    ["", "012345678", "x" * 1001, "0123456789\n", "0123\0456789", "a\u202eb" * 9, "\udce9" * 10],
)
def test_what_no_password_may_be(password: str) -> None:
    with pytest.raises(InputError) as raised:
        user_hashes.check_new(password)
    assert not password or password not in str(raised.value)
