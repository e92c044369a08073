"""Texts in tables of every character set: the bytes that PHP has, or a refusal."""

import contextlib
import functools
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import pymysql
import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new, whole
from rows import log_of, query
from stores import again, open_store
from wpbridge.action import ActionId, Status
from wpbridge.errors import InputError, StoreError, Unfit
from wpbridge.outcome import Failed, LogLine
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner import concluding
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Pause, Query
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.retention import Expiry

TABLES = ("actions", "groups", "logs")
ACTIONS = "wp_actionscheduler_actions"
EMOJI = "\N{GRINNING FACE}"

Made = Callable[..., "Place"]


class Place:
    """A site with tables of one character set."""

    def __init__(self, dsn: str, store: RunnerStore) -> None:
        self.dsn = dsn
        self.store = store
        self.queue = Queue(store.parts, clock=FakeClock(), close_store=False)

    def bytes_of(self, table: str, column: str) -> list[bytes]:
        """As they lie in the table, in the order of the ids."""
        name = f"wp_actionscheduler_{table}"
        key = {"actions": "action_id", "groups": "group_id", "logs": "log_id"}[table]
        rows = query(self.store, f"SELECT CAST({column} AS BINARY) FROM {name} ORDER BY {key}")
        return [bytes(row[0]) for row in rows]  # type: ignore[call-overload]

    def is_empty(self) -> bool:
        """Whether nothing was written."""
        return all(
            query(self.store, f"SELECT 1 FROM wp_actionscheduler_{t} WHERE 1 = 1") == []
            for t in TABLES
        )


@contextlib.contextmanager
def as_php(dsn: str, charset: str) -> Iterator[Callable[[bytes], Sequence[Sequence[bytes]]]]:
    """A connection like PHP's: bytes go out and come in, whatever the session calls them."""
    place, _, socket = dsn.partition("?unix_socket=")
    connection = pymysql.connect(
        unix_socket=socket,
        user="root",
        database=place.rpartition("/")[2],
        use_unicode=False,
        autocommit=True,
        ssl_disabled=True,
    )

    def run(statement: bytes) -> Sequence[Sequence[bytes]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)  # type: ignore[call-overload]  # bytes are sent as they are
            return cursor.fetchall()

    try:
        run(f"SET NAMES {charset}, SESSION sql_mode = ''".encode())
        yield run
    finally:
        connection.close()


@pytest.fixture
def place(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> Iterator[Made]:
    """Make a site: character sets of the tables and of the sessions."""
    opened: list[RunnerStore] = []

    def make(tables: str, session: str = "utf8mb4") -> Place:
        open_queue(mysql_dsn)
        with as_php(mysql_dsn, "utf8mb4") as run:
            for table in TABLES:
                told = f"ALTER TABLE wp_actionscheduler_{table} CONVERT TO CHARACTER SET {tables}"
                run(told.encode())
        address = DatabaseAddress.from_dsn(f"{mysql_dsn}&charset={session}")
        store = open_store(address, "wp_")
        opened.append(store)
        store.register(host="here", boot="b", pid=1, pid_started="1")
        return Place(mysql_dsn, store)

    yield make
    for store in opened:
        store.close()


# Sessions that speak another character set than the driver


@pytest.mark.parametrize(
    ("tables", "session"), [("latin1", "latin1"), ("utf8mb4", "latin1"), ("cp1251", "cp1251")]
)
def test_rows_have_the_bytes_that_php_writes_and_reads(
    place: Made, tables: str, session: str
) -> None:
    site = place(tables, session)
    text = f"größe {EMOJI}"
    with as_php(site.dsn, session) as php:
        php(f"INSERT INTO wp_actionscheduler_groups (slug) VALUES ('{text}')".encode())
        group = int(php(b"SELECT MAX(group_id) FROM wp_actionscheduler_groups")[0][0])
        php(
            f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, args, schedule, group_id)"
            f" VALUES ('{text}', 'pending', '2026-11-24 10:00:00', '[]',"
            f" 'O:28:\"ActionScheduler_NullSchedule\":0:{{}}', {group})".encode()
        )
        # What PHP wrote is found, by its name and by that of its group, and claimed
        [theirs] = site.queue.find(hooks=[text], groups=[text])
        assert (theirs.hook, theirs.group) == (text, text)
        claim = site.store.claim_due(
            now=NOW, limit=5, only=ClaimFilter(hooks=frozenset({text}), groups=frozenset({text}))
        )
        assert claim is not None
        assert [action.hook for action in claim.actions] == [text]
        # And PHP reads what is written here
        made = site.queue.enqueue_async(text, ["ä"], group=text)
        assert php(f"SELECT hook, group_id FROM {ACTIONS} WHERE action_id = {made}".encode()) == (
            (text.encode(), group),
        )
        site.store.log([(ActionId(int(made or 0)), LogLine(message=text, at=NOW))])
        log = php(b"SELECT message FROM wp_actionscheduler_logs ORDER BY log_id DESC LIMIT 1")
        assert log == ((text.encode(),),)


def test_our_own_tables_hold_what_the_session_says(place: Made) -> None:
    site = place("latin1", "latin1")
    insert(site.store, make_new("größe"), make_new("other"))
    site.queue.pause(hooks=["größe"], reason="für später")
    assert site.queue.pauses()[0].name == "größe"
    claim = site.store.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert claim is not None
    assert [action.hook for action in claim.actions] == ["other"]
    with as_php(site.dsn, "latin1") as php:
        assert php(b"SELECT name, reason FROM wp_wpbridge_pauses") == (
            ("größe".encode(), "für später".encode()),
        )


def test_what_is_no_utf8_is_kept_byte_for_byte(place: Made) -> None:
    site = place("latin1", "latin1")
    with as_php(site.dsn, "latin1") as php:
        php(
            f"INSERT INTO {ACTIONS} (hook, status, scheduled_date_gmt, args, schedule) VALUES"
            " ('gr".encode()
            + b"\xf6\xdfe' , 'failed', '2026-11-24 10:00:00', '[]',"
            b" 'O:28:\"ActionScheduler_NullSchedule\":0:{}')"
        )
    [found] = site.queue.find()
    assert found.hook.encode("utf-8", "surrogateescape") == b"gr\xf6\xdfe"
    [copy] = site.queue.requeue([found.id]).made.values()
    assert site.bytes_of("actions", "hook") == [b"gr\xf6\xdfe"] * 2
    assert [one.id for one in site.queue.find(hooks=[found.hook], statuses=("pending",))] == [copy]


def test_hooks_keep_their_spelling_in_reports(place: Made) -> None:
    site = place("latin1", "latin1")
    insert(site.store, make_new("größe"), make_new("GRÖSSE"))
    assert sorted(one.hook for one in site.store.parts.reading.queued(NOW)) == ["GRÖSSE", "größe"]


@pytest.mark.parametrize("session", ["gbk", "sjis", "big5"])
def test_no_text_escapes_from_its_quotes(place: Made, session: str) -> None:
    """There the last byte of a character and a backslash make another character."""
    site = place(session, session)
    written = []
    for hook in ("中中'); DROP TABLE x -- ", "中'", "\\中'", "日本'語", "¥'", "中中中中"):
        with contextlib.suppress(InputError):
            site.queue.enqueue_async(hook)
            written.append(hook)
        assert [one.hook for one in site.queue.find(hooks=[hook])] == written[-1:] * (
            hook in written
        )
    assert [one.hook for one in site.queue.find(Query(order="id"))] == written


# What a table cannot hold


def refused(site: Place) -> list[Callable[[], object]]:
    """Every way to write a text that the tables cannot hold."""
    queue = site.queue
    hook, group = f"h{EMOJI}", f"g{EMOJI}"
    return [
        lambda: queue.enqueue_async(hook),
        lambda: queue.enqueue_async("h", group=group),
        lambda: queue.enqueue_async(hook, unique=True),
        lambda: queue.enqueue_async("h", group=group, key="k"),
        lambda: queue.schedule_cron("+1h", "0 5 * * *", hook, tz="Europe/Rome"),
        lambda: queue.enqueue_many([Enqueue(hook="a"), Enqueue(hook=hook)]),
        lambda: queue.enqueue_many([Enqueue(hook="a"), Enqueue(hook="b", group=group)]),
        lambda: queue.check(Enqueue(hook=hook)),
        lambda: insert(site.store, make_new(group=group)),
        lambda: site.store.parts.groups.ensure(group),
    ]


@pytest.mark.parametrize(("tables", "session"), [("utf8mb3", "utf8mb4"), ("utf8mb4", "UTF8")])
def test_what_a_table_cannot_hold_is_refused_before_anything_is_written(
    place: Made, tables: str, session: str
) -> None:
    """DB_CHARSET in capitals is no alias of utf8mb4 for WordPress."""
    site = place(tables, session)
    for way in refused(site):
        with pytest.raises(InputError, match=r"has no \\u\{1F600\}"):
            way()
    assert site.is_empty()


def test_the_refusal_names_the_text_and_the_character(place: Made) -> None:
    site = place("latin1")
    with pytest.raises(InputError) as told:
        site.queue.enqueue_async("日本")
    assert str(told.value) == r"hook: the table's character set, latin1, has no \u{65E5}"
    assert site.queue.enqueue_async("größe €") == 1
    assert site.bytes_of("actions", "hook") == [b"gr\xf6\xdfe \x80"]


def test_a_text_longer_than_its_column_is_refused(place: Made) -> None:
    site = place("latin1", "latin1")
    assert site.queue.enqueue_async("ö" * 95 + "x") == 1
    with pytest.raises(InputError, match="hook: its 192 characters are more than the table's 191"):
        site.queue.enqueue_async("ö" * 96)
    assert len(site.bytes_of("actions", "hook")) == 1


def test_changes_by_hand_are_refused_with_their_reason(place: Made) -> None:
    site = place("utf8mb3")
    [action] = insert(site.store, make_new())
    with pytest.raises(InputError, match=r"reason: .* has no"):
        site.queue.cancel([action], reason=f"no {EMOJI}")
    assert site.queue.get(action).status == "pending"
    assert log_of(site.store, action) == ["action created"]


def test_the_log_keeps_a_text_with_what_is_missing_written_out(place: Made) -> None:
    site = place("utf8mb3")
    [action] = insert(site.store, make_new())
    claim = site.store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    reason = Failed(reason=f"ü {EMOJI} \ud83d \udce4")
    ending = concluding.ending_of(
        claim.actions[0], reason, started_at=NOW, ended_at=NOW, marked=False
    )
    assert site.store.settle([ending], now=NOW, finished=[claim.id]) == {action}
    assert site.queue.get(action).status == Status.FAILED
    assert log_of(site.store, action)[-1].endswith(r"ü \u{1F600} \ud83d \udce4")


@pytest.mark.parametrize("tables", ["utf8mb3", "latin1", "utf8mb4"])
def test_long_log_rows_are_cut_between_characters(place: Made, tables: str) -> None:
    site = place(tables)
    [action] = insert(site.store, make_new())
    for text in ("é" * 70_000, EMOJI * 20_000, "x" * 70_000, "x" + EMOJI * 16_383 + "é"):
        site.store.log([(action, LogLine(message=text, at=NOW))])
        [kept] = log_of(site.store, action)[-1:]
        shown = text if tables == "utf8mb4" else text.replace(EMOJI, r"\u{1F600}")
        assert shown.startswith(kept)
        assert site.bytes_of("logs", "message")[-1].endswith((kept[-1].encode(), b"\xe9"))
        assert 65_525 < len(site.bytes_of("logs", "message")[-1]) <= 65_535


def test_what_a_column_cannot_hold_is_not_found(place: Made) -> None:
    site = place("utf8mb3")
    site.queue.enqueue_async("mail", ["x"], group="g")
    queue, odd = site.queue, f"x{EMOJI}"
    for query_ in (
        Query(hooks=(odd,)),
        Query(groups=(odd,)),
        Query(search=odd),
        Query(args=f'["{odd}"]'),
        Query(partial_args=(odd,)),
    ):
        assert queue.find(query_) == []
        assert queue.count(query_) == 0
    assert len(queue.find(hooks=["mail", odd])) == 1
    assert len(queue.find(groups=["g", odd])) == 1
    assert len(queue.find(search="mail")) == 1
    assert queue.next_scheduled(odd) is None
    assert queue.refusal(Enqueue(hook=odd, unique=True)) is None
    expiry = Expiry(status=Status.COMPLETE, before=NOW, hooks=(odd,))
    assert site.store.parts.retention.count(expiry) == 0


def test_only_columns_that_can_hold_it_are_searched(place: Made) -> None:
    site = place("utf8mb4")
    with as_php(site.dsn, "utf8mb4") as run:
        for column, kind in (("args", "varchar(191)"), ("extended_args", "varchar(8000)")):
            told = f"ALTER TABLE {ACTIONS} MODIFY {column} {kind} CHARACTER SET latin1"
            run(told.encode())
    queue = Queue(again(site.store).parts, close_store=False)
    made = queue.enqueue_async(f"h{EMOJI}")
    assert [one.id for one in queue.find(search=EMOJI)] == [made]


def test_a_runner_for_a_hook_that_cannot_be_there_goes_on(place: Made) -> None:
    site = place("latin1")
    insert(site.store, make_new("mail"))
    odd = frozenset({"日本", "mail"})
    claim = site.store.claim_due(now=NOW, limit=5, only=ClaimFilter(hooks=odd))
    assert claim is not None
    assert site.store.claim_due(now=NOW, limit=5, only=ClaimFilter(hooks=frozenset("日"))) is None


def test_an_import_leaves_out_what_cannot_be_held_and_nothing_else(place: Made) -> None:
    site = place("utf8mb3")
    rows = [
        whole(),
        whole(hook=EMOJI),
        whole(group=EMOJI),
        whole(args=EMOJI),
        whole(schedule=EMOJI),
        whole(logs=(("a " + EMOJI, None, None),)),
        whole(hook="\ud83d"),
        whole(hook="last"),
    ]
    keyed = [(f"{place:064x}", row) for place, row in enumerate(rows)]
    fates = site.store.parts.bulk.add(keyed, unique=False, now=NOW)
    assert [fate.is_new for fate in fates] == [True, *[False] * 6, True]
    assert all(fate.why for fate in fates[1:-1])
    assert site.bytes_of("groups", "slug") == [b"g"]
    assert site.bytes_of("actions", "hook") == [b"h", b"last"]
    assert not site.store.parts.bulk.same(whole(hook=EMOJI))


def test_an_option_that_would_be_converted_is_left_as_it_is(place: Made) -> None:
    site = place("utf8mb4")
    with as_php(site.dsn, "utf8mb4") as run:
        run(
            b"CREATE TABLE wp_options (option_id int PRIMARY KEY AUTO_INCREMENT, option_name"
            b" varchar(191) UNIQUE, option_value longtext, autoload varchar(20))"
            b" CHARACTER SET utf8mb3"
        )
        run(b"INSERT INTO wp_options (option_name, option_value) VALUES ('cron', 'old')")
    options = site.store.parts.options
    with pytest.raises(Unfit):
        options.swap("cron", b"old", f"new {EMOJI}".encode())
    assert options.read("cron") == b"old"
    assert options.swap("cron", b"old", "neü".encode())
    assert options.read("cron") == "neü".encode()


def test_options_are_php_bytes_in_any_session(place: Made) -> None:
    site = place("latin1", "latin1")
    value = f"ü {EMOJI} \u20ac".encode() + b"\xf6"
    with as_php(site.dsn, "latin1") as run:
        run(
            b"CREATE TABLE wp_options (option_id int PRIMARY KEY AUTO_INCREMENT, option_name"
            b" varchar(191) UNIQUE, option_value longtext, autoload varchar(20))"
            b" CHARACTER SET latin1"
        )
        run(b"INSERT INTO wp_options (option_name, option_value) VALUES ('cron', '" + value + b"')")
        options = site.store.parts.options
        assert options.read("cron") == value
        assert options.swap("cron", value, value + b"\xff!")
        assert run(b"SELECT option_value FROM wp_options") == ((value + b"\xff!",),)


# In the caller's transaction


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_a_callers_connection_that_php_would_read_otherwise_takes_ascii_only(
    place: Made, charset: str
) -> None:
    site = place("latin1", "latin1")
    folder, _, socket = site.dsn.partition("?unix_socket=")
    connection = pymysql.connect(
        unix_socket=socket, user="root", database=folder.rpartition("/")[2], charset=charset
    )
    try:
        with pytest.raises(InputError, match="PHP would read other characters"):
            site.queue.enqueue_async("größe", connection=connection)
        assert site.queue.enqueue_async("plain", connection=connection) == 1
        connection.commit()
    finally:
        connection.close()
    assert site.bytes_of("actions", "hook") == [b"plain"]


# What no table can hold


def test_half_a_surrogate_pair_is_refused(store: RunnerStore) -> None:
    queue = Queue(store.parts, clock=FakeClock(), close_store=False)
    [action] = insert(store, make_new())
    for half in ("\ud83d", "\udce4"):
        for way in (
            functools.partial(queue.enqueue_async, half),
            functools.partial(queue.enqueue_async, "h", group=half),
            functools.partial(queue.pause, hooks=["h"], reason=half),
            functools.partial(queue.pause, groups=[half]),
            functools.partial(queue.cancel, [action], reason=half),
            functools.partial(store.parts.groups.ensure, half),
        ):
            with pytest.raises(InputError, match=r"half a surrogate pair"):
                way()
        for criteria in ({"hooks": [half]}, {"groups": [half]}, {"search": half}):
            with pytest.raises(InputError, match=r"half a surrogate pair"):
                queue.find(**criteria)
    assert queue.pauses() == []
    assert queue.get(action).status == "pending"


def test_the_log_and_a_runners_pause_write_half_a_surrogate_pair_out(store: RunnerStore) -> None:
    [action] = insert(store, make_new())
    store.log([(action, LogLine(message="a\ud83d\udce4ü", at=NOW))])
    assert log_of(store, action)[-1] == r"a\ud83d\udce4ü"
    pause = Pause(kind="hook", name="h", reason="\ud83d" * 300, until=NOW + timedelta(hours=1))
    assert store.count_failures("h", failed=1, is_fresh=True, most=1, pause=pause, now=NOW)
    [kept] = store.parts.pauses.in_force(NOW)
    assert kept.reason == (r"\ud83d" * 43)[:255]


def test_what_reaches_the_driver_all_the_same_is_told(store: RunnerStore) -> None:
    with pytest.raises(InputError, match="half a surrogate pair"):
        query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE hook = :h", h="\ud83d")


# The whole of it, asked of the server


CHARSETS = (
    "utf8mb4",
    "utf8mb3",
    "latin1",
    "latin2",
    "cp1251",
    "koi8r",
    "ascii",
    "greek",
    "gbk",
    "sjis",
    "big5",
    "euckr",
    "ujis",
    "cp932",
    "tis620",
    "ucs2",
    "utf16",
)
SESSIONS = ("utf8mb4", "UTF8", "latin1", "cp1251", "gbk", "ascii", "koi8r", "big5")
_CHARS = "aZ'\\%_é\u00a5ßλя中日本語ภ한€\x80\x98\u0098" + EMOJI


def random_text(rng: random.Random) -> str:
    return "".join(rng.choices(_CHARS, k=rng.randint(1, 6)))


@pytest.mark.parametrize("session", SESSIONS)
def test_what_is_let_in_comes_back_and_what_is_not_would_not(place: Made, session: str) -> None:
    site = place("utf8mb4", session)
    rng = random.Random(session)  # noqa: S311 - a test's
    table = "wp_texts"
    columns = ", ".join(f"c_{name} text CHARACTER SET {name}" for name in CHARSETS)
    with as_php(site.dsn, "utf8mb4") as run:
        run(f"CREATE TABLE {table} (id int PRIMARY KEY AUTO_INCREMENT, {columns})".encode())
    texts = site.store.session.run(lambda c: site.store.parts.dialect.texts(c, [table]))

    for charset in CHARSETS:
        for text in [random_text(rng) for _ in range(15)]:
            why = site.store.session.run(
                lambda c, n=charset, t=text: texts.why_not(c, (table, f"c_{n}"), t)  # type: ignore[misc]
            )
            came = stored(site.store, table, f"c_{charset}", text)
            assert (came == text) == (not why), (session, charset, text, why, came)
            shown = site.store.session.run(
                lambda c, n=charset, t=text: texts.shown(c, (table, f"c_{n}"), t)  # type: ignore[misc]
            )
            assert stored(site.store, table, f"c_{charset}", shown) == shown


def stored(store: RunnerStore, table: str, column: str, text: str) -> str | None:
    """A text as it comes back; None where the server refuses it."""
    try:
        query_ = f"INSERT INTO {table} ({column}) VALUES (:t) RETURNING {column}"
        return str(query(store, query_, t=text)[0][0])
    except StoreError:
        return None
