"""``users``: people of the dashboard, their passwords on a terminal and a pipe, their sessions."""

import json
import os
import pty
import select
import sys
from collections.abc import Sequence
from typing import Any

import pytest

import warm
from cli_helpers import COMMAND, Site, clean_env, is_one_line, tables
from rows import query
from wpbridge.access import user_hashes
from wpbridge.access.people import NotKnown, People

PASSWORD = "correct horse battery"
OTHER = "another long staple"
ADD = ("users", "add", "anna", "--role", "operator")


@pytest.fixture(name="site")
def site_with_a_secret(lite: Site) -> Site:
    lite.ok("init")
    return lite


def added(site: Site, password: str = PASSWORD) -> None:
    done = site(*ADD, "--password-stdin", input=f"{password}\n")
    assert (done.code, done.out, done.err) == (0, "added user anna as operator\n", "")


def knows(site: Site, password: str, name: str = "anna") -> bool:
    try:
        People(site.store.parts).sign_in(name, password, "")
    except NotKnown:
        return False
    return True


def listed(site: Site, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(site("users", *words, "--format", "json").out)
    return rows


def typed(site: Site, words: Sequence[str], *answers: str) -> tuple[int, str]:
    """What a command shows on a terminal whose user answers each question in turn."""
    ours, its = pty.openpty()
    shown, left = b"", list(answers)
    with warm.Popen(
        [*COMMAND, *words],
        cwd=site.folder,
        env=clean_env(site.folder, site.env),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        asked = 0
        try:
            while select.select([ours], [], [], 60)[0] and (part := os.read(ours, 65536)):
                shown += part
                if left and shown.count(b": ") > asked:
                    asked = shown.count(b": ")
                    os.write(ours, left.pop(0).encode() + b"\n")
        except OSError:
            pass  # The other end is closed: Linux says EIO.
        code = process.wait(timeout=300)
    os.close(ours)
    return code, shown.decode().replace("\r\n", "\n")


def test_a_user_signs_in_with_what_was_piped(site: Site) -> None:
    added(site)
    assert knows(site, PASSWORD)
    assert not knows(site, OTHER)
    assert not knows(site, f"{PASSWORD}\n")
    [row] = listed(site, "list")
    assert (row["name"], row["role"]) == ("anna", "operator")
    assert row["used"] is not None
    shown = site.ok("users", "list") + json.dumps(row) + str(site.store.parts.audit.latest(9))
    [[hashed]] = query(site.store, "SELECT password_hash FROM wp_wpbridge_users")
    assert str(hashed).startswith("$argon2id$")
    assert str(hashed) not in shown
    assert PASSWORD not in shown + str(tables(site.store))
    assert "there are no users" not in site("users", "list").err


def test_a_terminal_is_asked_twice_and_shows_nothing(site: Site) -> None:
    code, shown = typed(site, ADD, PASSWORD, PASSWORD)
    assert (code, "added user anna as operator" in shown) == (0, True), shown
    assert "password of anna: " in shown
    assert PASSWORD not in shown
    assert knows(site, PASSWORD)
    code, shown = typed(site, ("users", "password", "anna"), OTHER, PASSWORD)
    assert (code, "the two passwords differ" in shown) == (2, True), shown
    assert OTHER not in shown
    assert knows(site, PASSWORD)


def test_without_a_terminal_the_line_says_what_to_give(site: Site) -> None:
    before = tables(site.store)
    done = site(*ADD)
    assert is_one_line(done, 2)
    assert "--password-stdin" in done.err
    assert tables(site.store) == before


def test_changes_are_made_and_audited(site: Site) -> None:
    added(site)
    assert site.ok("users", "role", "anna", "viewer") == "made anna viewer\n"
    assert site.ok("users", "role", "anna", "viewer") == "made anna viewer\n"
    words = ("users", "password", "anna", "--password-stdin")
    assert site.ok(*words, input=OTHER) == "changed the password of anna\n"
    assert [knows(site, one) for one in (PASSWORD, OTHER)] == [False, True]
    refused = site("users", "remove", "anna")
    assert is_one_line(refused, 2)
    assert "add --yes" in refused.err
    assert site.ok("users", "remove", "anna", "--yes") == "removed user anna\n"
    assert not knows(site, OTHER)
    assert listed(site, "list") == []
    rows = [one for one in site.store.parts.audit.latest(99) if one.verb.startswith("user-")]
    assert [(one.verb, one.thing) for one in reversed(rows)] == [
        ("user-add", "anna"),
        ("user-role", "anna"),
        ("user-password", "anna"),
        ("user-remove", "anna"),
    ]
    assert all(one.who.startswith("cli:") and "@" in one.who for one in rows)
    assert json.loads(rows[2].detail) == {"before": "operator", "role": "viewer"}


def test_a_dry_run_checks_and_changes_nothing(site: Site) -> None:
    new = ("users", "add", "ben", "--role", "viewer", "--dry-run")
    added(site)
    before = tables(site.store)
    assert site.ok(*new) == "would add user ben as viewer\n"
    assert site.ok(*new, "--password-stdin", input=OTHER) == "would add user ben as viewer\n"
    assert site.ok("users", "remove", "anna", "--dry-run") == "would remove user anna\n"
    assert site.ok("users", "role", "anna", "admin", "--dry-run") == "would make anna admin\n"
    told = "would change the password of anna\n"
    words = ("users", "password", "anna", "--dry-run")
    assert site.ok(*words) == told
    assert site.ok(*words, "--password-stdin", input=OTHER) == told
    assert is_one_line(site(*ADD, "--dry-run"), 2)
    assert is_one_line(site(*new, "--password-stdin", input="short"), 2)
    assert tables(site.store) == before


def test_sessions_are_shown_and_ended(site: Site) -> None:
    added(site)
    people = People(site.store.parts)
    assert site("users", "sessions").err == "nobody is signed in\n"
    cookies = [people.sign_in("anna", PASSWORD, "").cookie for _ in range(2)]
    rows = listed(site, "sessions")
    assert [(row["person"], row["role"], row["source"]) for row in rows] == [
        ("user:anna", "operator", "user")
    ] * 2
    dry = ("users", "sessions", "--dry-run")
    assert site.ok(*dry, "--revoke-all") == "would end the sessions of everybody\n"
    assert site.ok(*dry, "--revoke", "user:anna") == "would end the sessions of user:anna\n"
    assert site.ok("users", "sessions", "--revoke", "user:ben") == "ended 0 sessions\n"
    assert site.ok("users", "sessions", "--revoke", "user:anna") == "ended 2 sessions\n"
    assert [People(site.store.parts).of_cookie(one) for one in cookies] == [None, None]
    people.sign_in("anna", PASSWORD, "")
    assert site.ok("users", "sessions", "--revoke-all") == "ended 1 session\n"
    assert listed(site, "sessions") == []
    for words in (("--revoke", "anna"), ("--revoke", "user:anna", "--revoke-all")):
        assert is_one_line(site("users", "sessions", *words), 2)


def test_names_and_roles_that_are_none_are_refused(site: Site) -> None:
    added(site)
    before = tables(site.store)
    for name in ("", "Anna", "a b", "a:b", "é", "x" * 101, "a\nb", "../x"):
        done = site("users", "add", name, "--role", "viewer", "--password-stdin", input=PASSWORD)
        assert is_one_line(done, 2), name
    for words in (
        (*ADD, "--password-stdin"),
        ("users", "role", "ben", "viewer"),
        ("users", "remove", "ben", "--yes"),
        ("users", "password", "ben", "--password-stdin"),
        ("users", "add", "ben", "--role", "root", "--password-stdin"),
        ("users", "add", "ben", "--password-stdin"),
    ):
        assert is_one_line(site(*words, input=PASSWORD), 2), words
    assert tables(site.store) == before


@pytest.mark.parametrize(
    "password",
    ["", "short", "x" * 1001, f"{PASSWORD}\nmore", "tabs\tin the word", b"caf\xe9 au lait!!"],
)
def test_passwords_that_are_none_are_refused_and_not_shown(
    site: Site, password: str | bytes
) -> None:
    done = site(*ADD, "--password-stdin", input=password)
    assert is_one_line(done, 2)
    told = password if isinstance(password, str) else "caf"
    assert not told or told not in done.err
    assert listed(site, "list") == []


def test_without_argon2_one_line_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "argon2", None)
    for cached in (user_hashes._argon2, user_hashes._hasher):
        cached.cache_clear()
    done = site(*ADD, "--password-stdin", input=PASSWORD)
    user_hashes._argon2.cache_clear()
    assert is_one_line(done, 78)
    assert "pip install 'wpbridge[web]'" in done.err
    assert site("users", "list").code == 0
