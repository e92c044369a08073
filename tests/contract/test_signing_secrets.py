"""The site's signing secret: made once by whoever comes first, rotated, and shown to nobody."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from conftest import execute
from heard import heard
from rows import change, query
from servers import MariaDB
from stores import make_store, open_store
from wpbridge.codec.signing import USES, derived_key
from wpbridge.errors import Contention, StoreError
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.rows import signing
from wpbridge.store.rows.signing import SigningSecrets
from wpbridge.store.running.runner_store import RunnerStore

T = TypeVar("T")
TABLE = "wp_wpbridge_secrets"
Open = Callable[[], RunnerStore]
SECRET = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def mine(store: RunnerStore) -> SigningSecrets:
    return store.parts.signing


@pytest.fixture
def lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What this process has logged since the test began."""
    monkeypatch.setattr(signing, "_told", set())
    caplog.set_level(logging.DEBUG)
    return lambda: [line for line in heard(caplog) if "signing" in line]


def rows(store: RunnerStore) -> list[tuple[str, str]]:
    found = query(store, f"SELECT place, secret FROM {TABLE} ORDER BY place")
    return [(str(place), str(secret)) for place, secret in found]


def rotated(secrets: SigningSecrets, **options: Any) -> list[str]:
    """Rotate as the command does; return the fingerprints of all rows."""
    expected = next((o.fingerprint for o in secrets.stored() if o.place == "current"), "")
    return [one.fingerprint for one in secrets.rotate(expected=expected, **options)]


def at_once(deed: Callable[[RunnerStore], T], stores: list[RunnerStore]) -> list[T]:
    barrier = threading.Barrier(len(stores))

    def go(store: RunnerStore) -> T:
        barrier.wait()
        return deed(store)

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(go, stores))


def test_it_is_made_on_first_use(store: RunnerStore, mine: SigningSecrets) -> None:
    assert mine.stored() == []
    [key] = mine.keys("wake")
    [(place, text)] = rows(store)
    assert place == "current"
    assert SECRET.fullmatch(text)
    assert key == derived_key(bytes.fromhex(text), "wake")
    age = store.parts.dialect.age_seconds("created_gmt")
    [[seconds, retired]] = query(store, f"SELECT {age}, retired_gmt FROM {TABLE}")
    assert 0 <= int(str(seconds)) < 600
    assert retired is None
    assert not mine.make(), "there is one"
    assert len({mine.keys(use) for use in USES}) == len(USES)


def test_the_table_of_an_existing_site_is_made_too(store: RunnerStore, again: Open) -> None:
    change(store, f"DROP TABLE {TABLE}")
    later = again().parts.signing
    assert later.stored() == []
    assert later.keys("wake") == again().parts.signing.keys("wake")
    assert len(rows(store)) == 1


@pytest.mark.parametrize("has_table", [True, False])
def test_of_several_who_make_it_one_counts(
    store: RunnerStore, again: Open, *, has_table: bool
) -> None:
    if not has_table:
        change(store, f"DROP TABLE {TABLE}")
    stores = [again() for _ in range(5)]
    found = set(at_once(lambda one: one.parts.signing.keys("ticket"), stores))
    assert len(found) == 1
    assert len(rows(store)) == 1


def test_two_are_valid_after_a_rotation_and_not_more(
    store: RunnerStore, mine: SigningSecrets
) -> None:
    [first] = mine.keys("wake")
    rotated(mine)
    second, old = mine.keys("wake")
    assert old == first != second
    rotated(mine)
    third, old = mine.keys("wake")
    assert old == second
    assert first not in (third, old)
    assert [place for place, _ in rows(store)] == ["current", "previous"]
    current, previous = mine.stored()
    assert (current.retired_at, current.created_at is None) == (None, False)
    assert previous.created_at
    assert previous.retired_at
    assert previous.created_at <= previous.retired_at


def test_after_a_leak_only_the_new_one_is_valid(mine: SigningSecrets) -> None:
    mine.keys("wake")
    rotated(mine)
    before = set(mine.keys("wake"))
    assert len(rotated(mine, keep_previous=False)) == 1
    assert len(mine.keys("wake")) == 1
    assert not before & set(mine.keys("wake"))


def test_a_rotation_makes_the_first_one(store: RunnerStore, mine: SigningSecrets) -> None:
    assert len(rotated(mine)) == 1
    assert len(rows(store)) == 1


def test_of_two_rotations_at_once_one_is_told(store: RunnerStore, again: Open) -> None:
    """Otherwise the secret that everybody uses would be gone after one command was typed twice."""
    store.parts.signing.make()
    [[_, before]] = rows(store)
    [expected] = [one.fingerprint for one in store.parts.signing.stored()]

    def rotate(one: RunnerStore) -> bool:
        try:
            one.parts.signing.rotate(expected=expected)
        except Contention:
            return False
        return True

    assert sorted(at_once(rotate, [again() for _ in range(4)])) == [False, False, False, True]
    assert rows(store)[1:] == [("previous", before)]


def test_a_rotation_whose_commit_was_not_answered_is_done_once(
    store: RunnerStore, mine: SigningSecrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.make()
    [[_, before]] = rows(store)
    transact = store.session.transact

    def twice(work: Callable[[Any], T]) -> T:
        transact(work)
        return transact(work)

    monkeypatch.setattr(store.session, "transact", twice)
    assert len(rotated(mine)) == 2
    assert rows(store)[1:] == [("previous", before)]


def test_a_rotation_is_noticed_after_a_moment(
    mine: SigningSecrets, again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(signing, "seconds_since_boot", lambda: now[0])
    first = mine.keys("wake")
    rotated(again().parts.signing)
    now[0] += 29
    assert mine.keys("wake") == first, "it was read a moment ago"
    assert len(mine.keys("wake", max_age_seconds=1)) == 2
    rotated(again().parts.signing, keep_previous=False)
    now[0] += 29
    assert len(mine.keys("wake")) == 2
    now[0] += 1
    assert len(mine.keys("wake")) == 1


def test_in_a_transaction_nothing_is_made(store: RunnerStore, mine: SigningSecrets) -> None:
    assert store.session.transact(lambda _: mine.keys("wake")) == ()
    assert rows(store) == []
    assert len(mine.keys("wake")) == 1


@pytest.mark.parametrize("text", ["", "00", "0" * 63, "x" * 64, "A" * 64])
def test_a_damaged_row_gives_no_key(
    store: RunnerStore, mine: SigningSecrets, lines: Callable[[], list[str]], text: str
) -> None:
    mine.make()
    change(store, f"UPDATE {TABLE} SET secret = :text", text=text)
    for age in (0, 0):
        assert mine.keys("wake", max_age_seconds=age) == ()
    [line] = lines()
    assert "wpbridge keys rotate-signing" in line
    assert [one.fingerprint for one in mine.stored()] == [""]
    assert len(rotated(mine)) == 1
    assert len(mine.keys("wake")) == 1, "a damaged one does not become the previous one"


def test_a_damaged_current_one_does_not_end_the_previous_one(
    store: RunnerStore, mine: SigningSecrets
) -> None:
    """All have signed with the previous one meanwhile."""
    mine.make()
    rotated(mine)
    _, old = mine.keys("wake")
    change(store, f"UPDATE {TABLE} SET secret = '' WHERE place = 'current'")
    assert mine.keys("wake", max_age_seconds=0) == (old,)
    assert len(rotated(mine)) == 2
    new, kept = mine.keys("wake")
    assert kept == old != new


def test_rows_of_other_places_are_no_secrets(store: RunnerStore, mine: SigningSecrets) -> None:
    mine.make()
    change(
        store,
        f"INSERT INTO {TABLE} (place, secret, created_gmt) VALUES ('aaa', :s, '2026-01-01')",
        s="0" * 64,
    )
    [key] = mine.keys("wake")
    assert key != derived_key(bytes(32), "wake")
    assert len(rotated(mine)) == 2
    assert [place for place, _ in rows(store)] == ["current", "previous"]


def test_a_secret_is_shown_by_nothing(
    store: RunnerStore, mine: SigningSecrets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mine.keys("wake")
    rotated(mine)
    shown = repr(mine) + str(mine.stored()) + repr(store.parts) + caplog.text
    for _, text in rows(store):
        raw = bytes.fromhex(text)
        for form in (text, repr(raw)[2:-1], repr(derived_key(raw, "wake"))[2:-1]):
            assert form not in shown


@pytest.mark.parametrize("dsn", ["mariadb"], indirect=True)
def test_a_server_that_takes_no_writes_gives_no_keys_until_it_does(
    store: RunnerStore, again: Open, mariadb: MariaDB, lines: Callable[[], list[str]]
) -> None:
    execute(mariadb, "SET GLOBAL tx_read_only = 1")
    try:
        mine = again().parts.signing
        for _ in range(2):
            assert mine.keys("wake", max_age_seconds=0) == ()
        [line] = lines()
        assert "read-only" in line
    finally:
        execute(mariadb, "SET GLOBAL tx_read_only = 0")
    made = store.parts.signing.keys("wake")
    assert mine.keys("wake", max_age_seconds=0) == made


# An account that may do less


@pytest.fixture
def reader(mysql_dsn: str, mariadb: MariaDB) -> Iterator[tuple[RunnerStore, Open]]:
    """A queue, and the way to open it as an account that may only read."""
    rich = make_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    name = str(rich.session.address.name)
    user = f"r{name}"[:30]
    execute(mariadb, f"CREATE USER {user}@localhost IDENTIFIED BY 'p'")
    execute(mariadb, f"GRANT SELECT ON {name}.* TO {user}@localhost")
    opened: list[RunnerStore] = []

    def open_it() -> RunnerStore:
        dsn = mysql_dsn.replace("root@", f"{user}:p@")
        opened.append(open_store(DatabaseAddress.from_dsn(dsn), "wp_"))
        return opened[-1]

    yield rich, open_it
    for it in (rich, *opened):
        it.close()
    execute(mariadb, f"DROP USER {user}@localhost")


@pytest.mark.parametrize("has_table", [True, False])
def test_who_cannot_make_it_gets_no_keys_and_one_line(
    reader: tuple[RunnerStore, Open], lines: Callable[[], list[str]], *, has_table: bool
) -> None:
    rich, open_it = reader
    if not has_table:
        change(rich, f"DROP TABLE {TABLE}")
    poor = open_it().parts.signing
    for _ in range(3):
        assert poor.keys("wake", max_age_seconds=0) == ()
    [line] = lines()
    assert "command denied" in line
    with pytest.raises(StoreError, match="command denied"):
        poor.make()
    with pytest.raises(StoreError, match="command denied"):
        poor.rotate(expected="")
    made = rich.parts.signing.keys("wake")
    assert poor.keys("wake", max_age_seconds=0) == made, "reading is enough once it is there"
