"""Application passwords against hashes that WordPress's own PHP has made."""

import pytest

from wpbridge.access.passwords import bare, caller_of, fits
from wpbridge.store.rows.wordpress_users import WordPressUser

# PasswordHash( 8, true )->HashPassword() and wp_fast_hash() of WordPress 7.0.
MADE = [
    ("abcdEFGH1234ijklMNOP5678", "$P$BFAEz9MfjaMi091UN2uX2huw8qVxSL0"),
    ("abcdEFGH1234ijklMNOP5678", "$generic$F6W18u0QEytvRVb59DemVWRxyTxU6vg_VK0s_f-h"),
    ("s5n4yGlVLiD1fTXvdW3cQ9Zb", "$P$BcyosM0TTj/ZO8sFr2QX5kRoQfqR/Z/"),
    ("s5n4yGlVLiD1fTXvdW3cQ9Zb", "$generic$67MX7gbgf6DVrQskC8ErlUJyOKdy6bJ16905sq6S"),
]


@pytest.mark.parametrize(("password", "stored"), MADE)
def test_a_password_fits_its_hash_and_no_other(password: str, stored: str) -> None:
    assert fits(password, stored)
    assert fits(bare(" ".join(password)), stored), "blanks between groups do not count"
    assert not fits(password.swapcase(), stored)
    assert not fits(password[:-1], stored)
    assert not fits("", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "abcdEFGH1234ijklMNOP5678",
        "$generic$",
        "e99a18c428cb38d5f260853678922e03",  # MD5, as WordPress once had
        "$wp$2y$10$abcdefghijklmnopqrstuv",  # bcrypt: an account's password of 6.8
        "$P$",
        "$P$BFAEz9MfjaMi091UN2uX2huw8qVxSL0\n",
        "$P$ZFAEz9MfjaMi091UN2uX2huw8qVxSL0",  # 2^37 rounds would take hours
        "$P$!FAEz9MfjaMi091UN2uX2huw8qVxSL0",
        "*0",
    ],
)
def test_other_hashes_fit_nothing(stored: str) -> None:
    for password in ("", "abcdEFGH1234ijklMNOP5678", "abc123"):
        assert not fits(password, stored)


def test_capabilities_and_roles_give_the_rights_that_the_settings_name() -> None:
    def rights(*capabilities: str) -> set[str]:
        user = WordPressUser(
            id=7, login="anna", password_hashes=(), capabilities=frozenset(capabilities)
        )
        caller = caller_of(user, {"edit_posts": ("read",), "shop_manager": ("enqueue", "read")})
        assert (caller.name, caller.key_name) == ("user:anna", "user:7")
        return set(caller.rights)

    assert rights() == set()
    assert rights("manage_options") == set(), "a mapping of one's own replaces the default"
    assert rights("edit_posts") == {"read"}
    assert rights("edit_posts", "shop_manager") == {"enqueue", "read"}
