"""What an idempotency key is made of. Receivers remember keys: a formula never changes."""

from tables_of_0_1 import key_of_0_1 as written_down
from wpbridge.codec.keys import key_of, key_of_0_1, work_hash


def test_the_key_of_0_1_is_what_0_1_gave() -> None:
    assert key_of_0_1("/var/www/html", 5) == written_down("/var/www/html", 5)
    assert key_of_0_1("/var/www/html", 5) == "491a6fe7-8077-518a-a7b4-2969ff813eac"


def test_the_key_is_always_made_the_same_way() -> None:
    key = key_of(site_id="id", blog="wp_", action_id=5, hook="charge", args=b'["a"]')
    assert key == "f7bd4dad-b1c1-596c-a02a-f62f3b4e8047"


def test_texts_do_not_run_into_each_other() -> None:
    assert work_hash(1, "h", b"xy") != work_hash(1, "hx", b"y")
    assert work_hash(1, "1h", b"") != work_hash(11, "h", b"")


def test_any_text_that_a_row_may_hold_has_a_key() -> None:
    assert work_hash(1, "lone \ud800", b"\xff\x00") != work_hash(1, "lone \ud801", b"\xff\x00")
