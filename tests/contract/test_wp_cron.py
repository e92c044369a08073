"""WP-Cron's events become actions and come back, on both databases, whoever writes between."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rows import change, query
from wpbridge.action import ActionId
from wpbridge.clock import from_timestamp
from wpbridge.codec import php, schedule
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.errors import CodecError, Contention, InputError, SchemaError, SiteError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron import moving, transaction
from wpbridge.migrate.wp_cron.journal_steps import left_as_row
from wpbridge.migrate.wp_cron.moving import Moved, Mover
from wpbridge.migrate.wp_cron.plan import Choice
from wpbridge.migrate.wp_cron.scheduled_since import Bridged, unfinished
from wpbridge.migrate.wp_cron.undo import Undo, Undone
from wpbridge.queue.facade import Queue
from wpbridge.store.rows.options import CRON, CRON_LOCK
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.old_keys import old_mark

NOW = 1_795_521_600
LATER = NOW + 3600
OPTIONS = (
    "CREATE TABLE wp_options (option_id INTEGER PRIMARY KEY {auto}, option_name VARCHAR(191)"
    " NOT NULL DEFAULT '' UNIQUE, option_value LONGTEXT NOT NULL, autoload VARCHAR(20) NOT NULL"
    " DEFAULT 'yes')"
)


def event(
    hook: str, *args: object, date: int = LATER, interval: int | None = None, name: str = "often"
) -> Event:
    values: Any = {
        place: value.encode() if isinstance(value, str) else value
        for place, value in enumerate(args)
    }
    value: Any = {b"schedule": False if interval is None else name.encode(), b"args": values}
    if interval is not None:
        value[b"interval"] = interval
    return Event(date=date, hook=hook.encode(), key=key_of(values), value=php.encode(value))


def by_slot(data: bytes) -> list[Event]:
    return sorted(CronOption.decode(data).events(), key=lambda one: one.slot)


class Place:
    """A WordPress's option beside a queue."""

    def __init__(self, store: RunnerStore, folder: Path) -> None:
        self.store = store
        self.queue = Queue(store.parts, close_store=False)
        self.file = folder / "journal"
        self.clock = NOW

    def set(self, *events: Event) -> bytes:
        option = CronOption({b"version": 2})
        option.add(events)
        self.write(option.encode())
        return option.encode()

    def write(self, data: bytes) -> None:
        """As WordPress writes: over whatever is there."""
        change(self.store, "DELETE FROM wp_options WHERE option_name = 'cron'")
        change(
            self.store,
            "INSERT INTO wp_options (option_name, option_value) VALUES ('cron', :v)",
            v=data.decode(),
        )

    @property
    def data(self) -> bytes:
        found = self.store.parts.options.read(CRON)
        assert found is not None
        return found

    @property
    def hooks(self) -> list[str]:
        return [one.name() for one in CronOption.decode(self.data).events()]

    def journal(self) -> Journal:
        return Journal(self.file, kind="wp-cron", site="here")

    def mover(self, journal: Journal, **choice: Any) -> Mover:
        return Mover(self.queue, journal, choice=Choice(**choice), now=lambda: self.clock)

    def move(self, **choice: Any) -> Moved:
        with self.journal() as journal:
            return self.mover(journal, **choice).move()

    def undo(self, *, dry_run: bool = False, bridged: Bridged | None = None) -> Undone:
        with self.journal() as journal:
            it = Undo(self.queue, journal, bridged=bridged, now=lambda: self.clock)
            return it.look() if dry_run else it.run()

    def actions(self, status: str = "pending") -> list[tuple[Any, ...]]:
        rows = query(
            self.store,
            "SELECT a.hook, a.args, a.scheduled_date_gmt, g.slug FROM wp_actionscheduler_actions a"
            " JOIN wp_actionscheduler_groups g ON g.group_id = a.group_id WHERE a.status = :s"
            " ORDER BY a.action_id",
            s=status,
        )
        return [(str(r[0]), str(r[1]), str(r[2]), str(r[3])) for r in rows]


@pytest.fixture
def place(store: RunnerStore, tmp_path: Path) -> Place:
    is_mysql = store.session.address.driver != "sqlite"
    change(store, OPTIONS.format(auto="AUTO_INCREMENT" if is_mysql else "AUTOINCREMENT"))
    return Place(store, tmp_path)


def test_events_become_actions_with_their_dates_args_and_intervals(place: Place) -> None:
    place.set(
        event("one", 5, "zwei/é"),
        event("many", date=LATER + 60, interval=3600),
        event("wp_version_check", interval=43200),
    )
    done = place.move()
    assert (done.moved, done.returned, done.merged, done.left) == (2, 0, 0, [])
    assert place.actions() == [
        ("one", '[5,"zwei\\/\\u00e9"]', "2026-11-24 13:00:00", "wp-cron"),
        ("many", "[]", "2026-11-24 13:01:00", "wp-cron"),
    ]
    assert place.hooks == ["wp_version_check"]
    [record] = place.queue.find(hooks=("many",))
    assert schedule.decode(record.schedule) == schedule.interval(from_timestamp(LATER + 60), 3600)


def test_what_is_not_as_it_should_be_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.set(event("one"), event("two"), event("three"))

    def settling() -> None:
        change(place.store, "UPDATE wp_actionscheduler_actions SET args = '[1]' WHERE hook = 'two'")
        change(place.store, "DELETE FROM wp_actionscheduler_actions WHERE hook = 'three'")

    with place.journal() as journal:
        mover = place.mover(journal)
        mover.settling = settling
        done = mover.move()
    assert (done.checked, len(done.faults)) == (3, 2)


def test_moved_again_nothing_is_there_to_move(place: Place) -> None:
    place.set(event("one"))
    place.move()
    assert place.move().moved == 0
    assert len(place.actions()) == 1


def test_patterns_choose_and_what_is_not_meant_keeps_its_bytes(place: Place) -> None:
    place.set(event("shop_a"), event("shop_b"), event("mail"))
    place.move(hooks=("shop_?",))
    kept = CronOption({b"version": 2})
    kept.add([event("mail")])
    assert place.data == kept.encode()


@pytest.mark.parametrize("choice", [{"hooks": ("wp_version_check",)}, {"with_core": True}])
def test_core_moves_only_when_it_is_asked_for(place: Place, choice: dict[str, Any]) -> None:
    place.set(event("wp_version_check"), event("action_scheduler_run_queue", interval=60))
    assert place.move(hooks=("*",)).moved == 0
    assert place.move(**choice).moved == 1
    assert place.hooks == ["action_scheduler_run_queue"]


def test_what_starts_the_plugins_runner_is_refused() -> None:
    with pytest.raises(InputError, match="action_scheduler_run_queue"):
        Choice(hooks=("action_scheduler_run_queue",))


def raw(args: bytes) -> Event:
    value = b'a:2:{s:8:"schedule";b:0;s:4:"args";' + args + b"}"
    return Event(date=LATER, hook=b"odd", key=b"k", value=value)


WITH_OBJECT = b'a:3:{s:8:"schedule";b:0;s:4:"args";a:0:{}s:1:"x";a:1:{i:0;O:6:"Gadget":0:{}}}'
"""Beside args that an action can hold; WordPress would make the object when it reads the option."""


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (raw(b'a:1:{i:0;O:8:"stdClass":0:{}}'), "object of the class stdClass"),
        (raw(b"a:1:{i:0;d:INF;}"), "INF"),
        (raw(b'a:2:{i:0;s:1:"a";i:1;R:4;}'), "reference"),
        (raw(b"a:1:{i:0;d:1;}"), "not come back the same"),
        (raw(b'a:1:{i:0;s:8001:"' + b"x" * 8001 + b'";}'), "too long"),
        (raw(b"i:5;"), "no array"),
        (replace(raw(b"a:0:{}"), value=WITH_OBJECT), "it holds an object of the class Gadget"),
        (event("odd", date=-5), "calendar"),
        (event("odd", interval=0), "interval"),
        (event("x" * 192), "191"),
    ],
)
def test_what_no_action_can_hold_stays_where_it_is(place: Place, odd: Event, reason: str) -> None:
    before = place.set(odd, event("fine", date=LATER + 1))
    done = place.move()
    assert done.moved == 1
    assert [reason in left.reason for left in done.left] == [True]
    assert CronOption.decode(before).events()[0] in CronOption.decode(place.data).events()
    assert left_as_row(done.left[0])["value"].encode("latin-1") == odd.value


MALFORMED = [
    (b's:1:"x";', "what stands at its date is no list of hooks"),
    (b'a:1:{s:3:"bad";b:0;}', "what stands under its hook is no list of events"),
    (b'a:1:{s:3:"bad";s:1:"x";}', "what stands under its hook is no list of events"),
    (b'a:1:{s:3:"bad";a:1:{s:1:"k";s:1:"x";}}', "its args are no array"),
    (b'a:1:{s:3:"bad";a:1:{s:1:"k";b:0;}}', "its args are no array"),
]


@pytest.mark.parametrize(("hooks", "reason"), MALFORMED)
def test_one_malformed_entry_stays_and_the_others_move(
    place: Place, hooks: bytes, reason: str
) -> None:
    good = event("good", interval=3600), event("good", 1, date=LATER + 9)
    [first, second] = (php.encode({b"good": {one.key: php.decode(one.value)}}) for one in good)
    before = b'a:4:{i:%d;%si:%d;%si:%d;%ss:7:"version";i:2;}' % (
        *(LATER, first, LATER + 5, hooks, LATER + 9, second),
    )
    place.write(before)
    done = place.move()
    assert (done.moved, [left.reason for left in done.left]) == (2, [reason])
    assert place.data == b'a:2:{i:%d;%ss:7:"version";i:2;}' % (LATER + 5, hooks)
    assert len(place.actions()) == 2
    assert place.undo().restored == 2
    assert place.data == before


@pytest.mark.parametrize("date", ["", "2026-12-24 10:00:00", "1798106400.5", "zzz", " 5", "-"])
def test_events_under_a_date_that_is_no_number_stay_and_are_told(place: Place, date: str) -> None:
    option = CronOption({date.encode(): {b"odd": {b"k": {b"args": {}}}}, b"version": 2})
    option.add([event("good"), event("good", date=1_798_106_400)])
    before = option.encode()
    place.write(before)
    done = place.move()
    [left] = done.left
    assert (done.moved, left.event.name(), left.event.date) == (2, "odd", date)
    assert left.reason == f"its date {date!r} is no whole number"
    assert left_as_row(left)["hook"] == "odd"
    assert place.undo().restored == 2
    assert place.data == before


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (b's:3:"300";', 300),
        (b"d:300;", 300),
        (b's:5:"300.0";', 300),
        (b's:4:" 3e2";', 300),
        (b"d:300.5;", None),
        (b's:4:"300s";', None),
        (b's:4:"-300";', None),
        (b"d:INF;", None),
        (b"b:1;", None),
        (b"N;", None),
    ],
)
def test_intervals_are_numbers_whatever_their_type(
    place: Place, interval: bytes, seconds: int | None
) -> None:
    value = b'a:3:{s:8:"schedule";s:5:"often";s:4:"args";a:0:{}s:8:"interval";' + interval + b"}"
    place.set(Event(date=LATER, hook=b"h", key=b"k", value=value))
    before = place.data
    done = place.move()
    assert done.moved == (seconds is not None)
    if seconds is None:
        assert "interval" in done.left[0].reason
        return
    [row] = query(place.store, "SELECT schedule FROM wp_actionscheduler_actions")
    told = schedule.decode(bytes(row[0]) if isinstance(row[0], bytes) else str(row[0]).encode())
    assert isinstance(told, schedule.Interval)
    assert told.recurrence == seconds
    assert place.undo().restored == 1
    assert place.data == before


@pytest.mark.parametrize(
    ("before", "after"), [(b"\n", b"\r\n"), (b"", b"\n"), (b" \t", b" "), (b"", b"};")]
)
def test_white_space_around_the_option_means_nothing(
    place: Place, before: bytes, after: bytes
) -> None:
    whole = before + place.set(event("one", 1), event("two", interval=60)) + after
    place.write(whole)
    assert place.move(hooks=("one",)).moved == 1
    assert place.hooks == ["two"]
    assert place.undo().restored == 1
    # WordPress drops what stands behind the value when it writes.
    assert place.data == whole.removesuffix(b"};")


@pytest.mark.parametrize("data", [b"", b" \n", b"b:0;", b"N;", b"i:5;", b's:1:"x";', b"a:0:{}"])
def test_what_is_no_array_has_no_events(place: Place, data: bytes) -> None:
    moved = place.set(event("one"))
    place.move()
    place.write(data)
    assert place.move() == Moved()
    assert place.data == data
    assert place.undo().restored == 1
    assert by_slot(place.data) == by_slot(moved)
    assert (b"version" in place.data) == (data != b"a:0:{}")


def test_a_malformed_entry_in_the_way_of_an_undo_is_gone_round(place: Place) -> None:
    place.set(event("one"))
    place.move()
    odd = b'a:2:{i:%d;s:1:"x";s:7:"version";i:2;}' % LATER
    place.write(odd)
    assert place.undo().restored == 1
    assert [one.date for one in CronOption.decode(place.data).events()] == [LATER + 1]
    assert [one.date for one in CronOption.decode(place.data).odd()] == [str(LATER)]


@pytest.mark.parametrize("cut", [1, 7, 30, -1])
def test_a_damaged_option_changes_nothing(place: Place, cut: int) -> None:
    whole = place.set(event("one"))
    place.write(whole[:cut])
    with pytest.raises(CodecError):
        place.move()
    assert place.data == whole[:cut]
    assert place.actions() == []


@pytest.mark.parametrize("data", [b"text", b"b:0", b"a:0:{}x", b"a:1:{i:5;i:6;"])
def test_an_option_that_cannot_be_read_changes_nothing(place: Place, data: bytes) -> None:
    place.write(data)
    with pytest.raises(CodecError):
        place.move()
    assert place.data == data


def test_without_an_option_it_says_so(place: Place) -> None:
    with pytest.raises(SiteError, match="no cron option"):
        place.move()


def between(place: Place, deed: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, between the look at the option and the transaction."""
    real, left = transaction.transact, [deed]

    def late(*given: Any) -> Any:
        if left:
            left.pop()()
        return real(*given)

    monkeypatch.setattr(moving, "transact", late)


def test_what_wordpress_takes_out_meanwhile_is_not_moved(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set(event("gone"), event("stays"))
    between(place, lambda: place.set(event("stays"), event("wp_version_check")), monkeypatch)
    assert place.move().moved == 1
    assert [row[0] for row in place.actions()] == ["stays"]
    assert place.hooks == ["wp_version_check"]


def test_what_wordpress_adds_meanwhile_is_moved_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set(event("a"))
    between(place, lambda: place.set(event("a"), event("b")), monkeypatch)
    assert place.move().moved == 2
    assert place.hooks == []


def test_what_a_stale_request_puts_back_is_taken_out_and_makes_no_second_action(
    place: Place,
) -> None:
    before = place.set(event("one"), event("many", interval=60))
    with place.journal() as journal:
        mover = place.mover(journal)

        def tick(_seconds: float) -> None:
            if place.clock == NOW:
                place.write(before)
            place.clock += 1

        done = mover.move(settle_seconds=2, sleep=tick)
    assert (done.moved, done.returned, done.merged) == (2, 1, 1)
    assert place.hooks == []
    assert len(place.actions()) == 2


def test_a_recurring_one_that_comes_back_at_its_next_date_makes_no_second_chain(
    place: Place,
) -> None:
    place.set(event("many", interval=60))
    place.move()
    place.set(event("many", interval=60, date=LATER + 60), event("many", 2, interval=60))
    done = place.move()
    assert (done.moved, done.merged) == (1, 1)
    assert [row[:2] for row in place.actions()] == [("many", "[]"), ("many", "[2]")]


def test_a_running_pass_is_not_disturbed(place: Place) -> None:
    before = place.set(event("one"))
    change(
        place.store,
        "INSERT INTO wp_options (option_name, option_value) VALUES (:n, :v)",
        n=CRON_LOCK,
        v=f"{NOW - 59}.5",
    )
    with pytest.raises(Contention, match="doing_cron"):
        place.move()
    assert place.data == before
    place.clock = NOW + 2
    assert place.move().moved == 1
    assert place.store.parts.options.read(CRON_LOCK) is None


def test_undo_puts_everything_back_as_it_was(place: Place) -> None:
    before = place.set(event("one", 1), event("many", interval=60), event("wp_version_check"))
    place.move()
    assert place.undo(dry_run=True).restored == 2
    assert len(place.actions()) == 2
    assert place.undo().restored == 2
    assert by_slot(place.data) == by_slot(before)
    assert place.actions() == []
    assert len(place.actions("canceled")) == 2
    assert place.undo().restored == 0
    assert place.move().moved == 2, "what was undone can be moved again"
    assert len(place.actions()) == 2


def test_undo_leaves_what_has_run_and_what_runs(place: Place) -> None:
    place.set(event("done"), event("running"), event("waits"))
    place.move()
    for hook, status in (("done", "complete"), ("running", "in-progress")):
        change(
            place.store,
            "UPDATE wp_actionscheduler_actions SET status = :s WHERE hook = :h",
            s=status,
            h=hook,
        )
    done = place.undo()
    assert (done.restored, done.ended, done.busy) == (1, 1, 1)
    assert place.hooks == ["waits"]


def test_a_recurring_one_comes_back_on_wp_crons_grid(place: Place) -> None:
    place.set(event("many", interval=3600))
    place.move()
    # It ran, and its successor counts from the end of the run.
    change(place.store, "UPDATE wp_actionscheduler_actions SET status = 'complete'")
    place.queue.schedule_recurring(LATER + 3607, 3600, "many", group="wp-cron")
    place.clock = LATER + 30
    assert place.undo().restored == 1
    [back] = CronOption.decode(place.data).events()
    assert back.date == LATER + 3600
    assert place.actions() == []


def test_undo_does_not_double_what_php_has_scheduled_again(place: Place) -> None:
    place.set(event("many", interval=3600))
    place.move()
    place.set(event("many", interval=3600, date=LATER + 7))
    done = place.undo()
    assert (done.restored, done.present) == (0, 1)
    assert len(place.hooks) == 1
    assert place.actions() == []


def test_undo_waits_for_no_writer_and_loses_nothing_to_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set(event("one"))
    place.move()
    real, left = type(place.store.parts.options).swap, [1]

    def late(self: Any, name: str, old: bytes, new: bytes) -> bool:
        if left:
            left.pop()
            return False
        return real(self, name, old, new)

    monkeypatch.setattr(type(place.store.parts.options), "swap", late)
    assert place.undo().restored == 1
    assert place.hooks == ["one"]
    assert (len(place.actions()), len(place.actions("canceled"))) == (0, 1)


def test_bytes_that_the_collation_takes_for_equal_are_not(place: Place) -> None:
    place.write(b'a:1:{s:1:"A";i:1;}')
    options = place.store.parts.options
    assert not options.swap(CRON, b'a:1:{s:1:"a";i:1;}', b"a:0:{}")
    assert options.swap(CRON, b'a:1:{s:1:"A";i:1;}', b"a:0:{}")


def test_events_of_a_file_become_actions_and_the_option_stays(
    place: Place, golden_dir: Path
) -> None:
    before = place.set(event("other"))
    data = (golden_dir / "legacy" / "cron_option.bin").read_bytes()
    with place.journal() as journal:
        done = place.mover(journal).copy(data)
    assert (done.moved, done.left) == (5, [])
    assert place.data == before
    with place.journal() as journal:
        assert place.mover(journal).copy(data).moved == 0
    undone = place.undo()
    assert (undone.restored, undone.copies, undone.ended) == (0, 5, 0)
    assert place.data == before
    assert place.actions() == []


def test_without_transactions_it_refuses(place: Place) -> None:
    before = place.set(event("one"))
    if place.store.session.address.driver == "sqlite":
        pytest.skip("every table of SQLite has transactions")
    change(place.store, "ALTER TABLE wp_options ENGINE=MyISAM")
    with pytest.raises(SchemaError, match="ENGINE=InnoDB"):
        place.move()
    assert (place.data, place.actions()) == (before, [])


def test_a_file_that_is_damaged_makes_no_action(place: Place) -> None:
    with place.journal() as journal, pytest.raises(CodecError):
        place.mover(journal).copy(b'a:1:{i:5;a:1:{s:1:"h";a:1:{s:1:"k";a:0:{}}}')
    assert place.actions() == []


def in_one_place(place: Place) -> list[str]:
    return sorted([*place.hooks, *(str(row[0]) for row in place.actions())])


def test_undo_of_a_file_loses_no_event_that_the_option_had(place: Place, tmp_path: Path) -> None:
    """A copy of the option, given as a file after its events were moved, makes nothing new."""
    data = place.set(event("one"), event("two", interval=3600))
    place.move()
    place.file = tmp_path / "second"
    with place.journal() as journal:
        assert place.mover(journal).copy(data).moved == 0
    place.undo()
    place.file = tmp_path / "journal"
    place.undo()
    assert in_one_place(place) == ["one", "two"]


def test_undo_puts_back_what_was_taken_out_though_a_file_had_it_too(place: Place) -> None:
    """First tried with the file, then moved, with one journal, as the defaults are."""
    data = place.set(event("one"), event("two", interval=3600))
    with place.journal() as journal:
        place.mover(journal).copy(data)
    place.move()
    assert place.hooks == []
    place.undo()
    assert sorted(place.hooks) == ["one", "two"]


def test_a_recurring_one_with_another_interval_is_not_thrown_away(
    place: Place, tmp_path: Path
) -> None:
    """It is taken out of the option, becomes no action, and stands in no journal."""
    place.set(event("h", interval=3600))
    place.move()
    place.set(event("h", interval=86_400, name="daily"))
    place.file = tmp_path / "second"
    place.move()
    place.undo()
    assert place.hooks == ["h"]


def test_a_trial_of_undo_counts_what_is_there_already(place: Place) -> None:
    place.set(event("h"))
    place.move()
    place.set(event("h"))
    tried = place.undo(dry_run=True)
    done = place.undo()
    assert (tried.restored, tried.present) == (done.restored, done.present) == (0, 1)


def test_an_event_that_is_scheduled_again_after_its_action_was_canceled_is_not_lost(
    place: Place,
) -> None:
    """A plugin takes it back and schedules the same once more; it is no stale request's."""
    place.set(event("h"))
    place.move()
    first = query(place.store, "SELECT action_id FROM wp_actionscheduler_actions")[0][0]
    place.queue.cancel([ActionId(int(str(first)))])
    place.set(event("h"))
    place.move()
    assert in_one_place(place) == ["h"]


@pytest.mark.parametrize("interval", [None, 3600])
@pytest.mark.parametrize("deed", ["SET status = 'canceled'", "gone"])
def test_an_action_that_was_canceled_stands_for_its_event_no_more(
    place: Place, deed: str, interval: int | None
) -> None:
    """Nor does one that is gone: the plugin deletes canceled ones at its next cleaning."""
    place.set(event("h", interval=interval))
    place.move()
    gone = "DELETE FROM wp_actionscheduler_actions"
    change(place.store, gone if deed == "gone" else f"UPDATE wp_actionscheduler_actions {deed}")
    place.set(event("h", interval=interval))
    done = place.move()
    assert (done.moved, done.returned, done.merged) == (1, 0, 0)
    assert in_one_place(place) == ["h"]
    assert place.undo().restored == 1
    assert in_one_place(place) == ["h"]


def test_an_event_whose_action_has_run_is_not_run_again(place: Place) -> None:
    before = place.set(event("h"))
    place.move()
    change(place.store, "UPDATE wp_actionscheduler_actions SET status = 'complete'")
    place.write(before)
    done = place.move()
    assert (done.moved, done.returned) == (0, 1)
    assert in_one_place(place) == []


def test_two_that_repeat_at_different_hours_stay_two(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the second comes in a later transaction, and finds the first one's action."""
    monkeypatch.setattr(transaction, "BATCH", 1)
    place.set(event("h", interval=86_400), event("h", interval=86_400, date=LATER + 600))
    assert place.move().moved == 2
    assert len(place.actions()) == 2


@pytest.mark.parametrize("later", [0, 3600], ids=["as it was", "after a run"])
def test_undo_of_a_file_leaves_alone_what_has_become_an_events_only_place(
    place: Place, tmp_path: Path, later: int
) -> None:
    """Copied first, then moved, each with its own journal; WP-Cron may run between the two."""
    data = place.set(event("h", interval=3600))
    with place.journal() as journal:
        place.mover(journal).copy(data)
    place.set(event("h", interval=3600, date=LATER + later))
    first, place.file = place.file, tmp_path / "second"
    assert place.move().moved == 0
    second, place.file = place.file, first
    assert place.undo().changed == 0
    assert in_one_place(place) == ["h"]
    place.file = second
    assert place.undo().restored == 1
    assert (place.hooks, place.actions()) == (["h"], [])


def test_a_file_that_is_copied_again_makes_nothing_twice(place: Place, tmp_path: Path) -> None:
    data = place.set(event("one"), event("two", interval=3600))
    with place.journal() as journal:
        place.mover(journal).copy(data)
    place.file = tmp_path / "second"
    with place.journal() as journal:
        done = place.mover(journal).copy(data)
    assert (done.moved, done.known) == (0, 2)
    assert place.undo().changed == 0, "it made none of them"
    assert len(place.actions()) == 2


def test_a_copy_that_was_canceled_can_be_made_again(place: Place) -> None:
    data = place.set(event("one"))
    for _ in range(2):
        with place.journal() as journal:
            assert place.mover(journal).copy(data).moved == 1
        change(place.store, "UPDATE wp_actionscheduler_actions SET status = 'canceled'")


def test_undo_puts_two_back_that_differ_in_their_intervals_only(place: Place) -> None:
    """An option holds one of them at a second."""
    place.set(event("h", interval=3600))
    place.move()
    place.set(event("h", interval=86_400, name="daily"))
    place.move()
    assert place.undo().restored == 2
    found = {(one.date, one.interval()) for one in CronOption.decode(place.data).events()}
    assert found == {(LATER, 3600), (LATER + 1, 86_400)}


def test_undo_puts_two_back_that_repeat_at_different_hours(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "BATCH", 1)
    before = place.set(event("h", interval=86_400), event("h", interval=86_400, date=LATER + 600))
    place.move()
    assert place.undo().restored == 2
    assert place.data == before


def test_undo_tells_what_is_not_as_it_should_be(place: Place) -> None:
    place.set(event("one"), event("two"))
    place.move()

    def harm(_count: int) -> None:
        change(
            place.store,
            "UPDATE wp_actionscheduler_actions SET status = 'pending' WHERE hook = 'one'",
        )
        place.set(event("one"))

    with place.journal() as journal:
        done = Undo(place.queue, journal, now=lambda: place.clock).run(harm)
    assert (done.restored, done.checked, len(done.faults)) == (2, 4, 2)


GOOD: dict[str, object] = {
    "date": LATER,
    "hook": "h",
    "key": "k",
    "value": event("h").value.decode(),
}


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"step": "plan"},
        {"step": "plan", "group": "g", "events": 5},
        {"step": "plan", "group": "g", "events": ["x"]},
        {"step": "plan", "group": "g", "events": [{**GOOD, "date": "soon"}]},
        {"step": "plan", "group": "g", "events": [{**GOOD, "hook": "\u20ac"}]},
        {"step": "plan", "group": "g", "events": [{**GOOD, "value": "a:1:{"}]},
        {"step": "plan", "group": "g", "events": [{**GOOD, "value": WITH_OBJECT.decode()}]},
    ],
)
def test_a_damaged_step_of_the_journal_is_told(place: Place, step: dict[str, object]) -> None:
    before = place.set(event("h"))
    with place.journal() as journal:
        journal.add({"step": "moved", "ids": []})
        journal.add(step)
    with pytest.raises(InputError, match=r"journal: line 3 is damaged"):
        place.undo()
    assert place.data == before


def test_undo_tells_how_far_it_is_of_how_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "BATCH", 2)
    place.set(*(event("h", number) for number in range(5)))
    place.move()
    told: list[int] = []
    with place.journal() as journal:
        it = Undo(place.queue, journal, now=lambda: place.clock)
        it.run(told.append)
    assert (it.total, told) == (5, [2, 2, 1])


def test_batches_there_and_back_have_bounded_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch was 1,000 events, however long each was."""
    monkeypatch.setattr(transaction, "WINDOW_BYTES", 9_000)
    lengths = [1, 4_000, 4_000, 4_000, 7_000, 1]
    before = place.set(*(event("h", "x" * n, date=LATER + i) for i, n in enumerate(lengths)))
    told: list[int] = []
    with place.journal() as journal:
        mover = place.mover(journal)
        mover.advance = told.append
        assert mover.move().moved == 6
    assert told == [3, 1, 2]
    told.clear()
    with place.journal() as journal:
        assert Undo(place.queue, journal, now=lambda: place.clock).run(told.append).restored == 6
    assert told == [3, 1, 2]
    assert place.data == before


def test_a_copy_whose_chain_has_ended_stands_for_nothing(place: Place, tmp_path: Path) -> None:
    """The key of a recurring copy tells no date: that it ran once says nothing of this one."""
    data = place.set(event("h", interval=3600))
    with place.journal() as journal:
        place.mover(journal).copy(data)
    change(place.store, "UPDATE wp_actionscheduler_actions SET status = 'complete'")
    place.set(event("h", interval=3600, date=LATER + 3600))
    first, place.file = place.file, tmp_path / "second"
    assert place.move().moved == 1
    assert in_one_place(place) == ["h"]
    second, place.file = place.file, first
    assert place.undo().changed == 0
    place.file = second
    assert place.undo().restored == 1
    assert in_one_place(place) == ["h"]


def test_one_that_was_merged_is_put_back_by_the_undo_of_either_move(
    place: Place, tmp_path: Path
) -> None:
    place.set(event("h", interval=60))
    place.move()
    place.set(event("h", interval=60, date=LATER + 60))
    first, place.file = place.file, tmp_path / "second"
    assert place.move().merged == 1
    assert place.undo().restored == 1
    assert (place.hooks, place.actions()) == (["h"], [])
    place.file = first
    done = place.undo()
    assert (done.restored, done.ended) == (0, 1)


# What PHP has scheduled through the bridge since

BRIDGED = Bridged(group="wp-cron", hooks=frozenset({"one", "many"}))


def from_php(place: Place, hook: str, *args: Any, at: int = LATER, **more: Any) -> ActionId:
    """As the bridge does it: no key, in the group of the moved events."""
    given = {"group": "wp-cron", **more}
    interval = given.pop("interval", 0)
    date = from_timestamp(at)
    found = (
        place.queue.schedule_recurring(date, interval, hook, args, **given)
        if interval
        else place.queue.schedule_single(date, hook, args, **given)
    )
    assert found is not None
    return found


def told_of(place: Place) -> list[tuple[str, int, str | None, str]]:
    events = CronOption.decode(place.data).events()
    return sorted(((e.name(), e.date, e.recurrence(), e.args()) for e in events), key=str)


def test_what_php_has_scheduled_through_the_bridge_goes_back_too(place: Place) -> None:
    before = place.set(event("one", 5), event("many", interval=600, name="ten minutes"))
    place.move()
    values = {"a": [1, 2.5, {"b": None}], "7": "é", "c": {}}
    from_php(place, "one", 6)
    from_php(place, "one", values, at=LATER + 1)
    from_php(place, "many", "x", interval=600, at=LATER + 2)
    from_php(place, "many", "y", interval=86_400, at=LATER + 3)
    assert place.undo(dry_run=True, bridged=BRIDGED).scheduled == 4
    assert len(place.actions()) == 6
    done = place.undo(bridged=BRIDGED)
    assert (done.restored, done.scheduled, done.busy, done.left, done.faults) == (2, 4, 0, [], [])
    assert place.actions() == []
    assert told_of(place) == [
        ("many", LATER, "ten minutes", "[]"),
        ("many", LATER + 2, "ten minutes", '["x"]'),
        ("many", LATER + 3, "daily", '["y"]'),
        ("one", LATER, None, "[5]"),
        ("one", LATER, None, "[6]"),
        ("one", LATER + 1, None, '[{"a":[1,2.5,{"b":null}],"7":"\\u00e9","c":[]}]'),
    ]
    # As WordPress writes them: it finds an event by the md5 of its args.
    found = {e.args(): e for e in CronOption.decode(place.data).events()}
    assert found["[6]"] == event("one", 6)
    assert found['["y"]'] == event("many", "y", interval=86_400, name="daily", date=LATER + 3)
    again = place.undo(bridged=BRIDGED)
    assert (again.restored, again.scheduled) == (0, 0)
    assert place.data != before


def test_without_a_bridge_what_stands_in_the_group_stays(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    from_php(place, "one", 6)
    assert place.undo().scheduled == 0
    assert len(place.actions()) == 1


def test_what_php_has_unscheduled_or_what_has_run_does_not_come_back(place: Place) -> None:
    place.set(event("one", 5), event("many", interval=600))
    place.move()
    gone, ran, changed = from_php(place, "one", 6), from_php(place, "one", 7), None
    [many] = [record.id for record in place.queue.find(hooks=("many",))]
    place.queue.cancel([gone, many])
    changed = from_php(place, "many", interval=3600, at=LATER + 9)
    table = "wp_actionscheduler_actions"
    change(place.store, f"UPDATE {table} SET status = 'complete' WHERE action_id = {ran}")
    done = place.undo(bridged=BRIDGED)
    assert (done.restored, done.scheduled, done.ended) == (1, 1, 1)
    assert told_of(place) == [
        ("many", LATER + 9, "hourly", "[]"),
        ("one", LATER, None, "[5]"),
    ]
    assert place.queue.get(changed).status == "canceled"


def test_php_s_later_actions_may_be_due_earlier(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches go by id, whatever the dates: none is passed over, and none is told twice."""
    monkeypatch.setattr("wpbridge.migrate.wp_cron.scheduled_since.BATCH", 2)
    place.set(event("one", 5))
    place.move()
    for number in range(5):
        from_php(place, "one", number + 10, at=LATER - number)
    odd = from_php(place, "one", interval=77, at=LATER - 9)
    assert [one[0] for one in place.undo(dry_run=True, bridged=BRIDGED).left] == [odd]
    done = place.undo(bridged=BRIDGED)
    assert (done.scheduled, [one[0] for one in done.left]) == (5, [odd])


def test_only_what_php_has_scheduled_of_these_hooks_is_meant(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    others = [
        from_php(place, "ONE", 1),
        from_php(place, "other"),
        from_php(place, "one", 2, group="g"),
        from_php(place, "one", 3, key="k"),
    ]
    mine = from_php(place, "one", 4)
    # Queued when the tables of 0.1 were brought forward: that row among the keys is no key.
    record = place.queue.get(mine)
    mark = old_mark(mine, "one", record.args)
    change(
        place.store,
        "INSERT INTO wp_wpbridge_keys (key_hash, action_id, created_gmt)"
        " VALUES (:h, :i, '2026-11-24 00:00:00')",
        h=mark,
        i=mine,
    )
    assert place.undo(bridged=BRIDGED).scheduled == 1
    assert [place.queue.get(one).status for one in (*others, mine)] == [
        *["pending"] * 4,
        "canceled",
    ]


def test_what_wp_cron_cannot_hold_stays_in_the_queue_and_is_told(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    odd = from_php(place, "one", interval=77)
    cron = place.queue.schedule_cron(LATER, "0 3 * * *", "many", group="wp-cron")
    for _ in range(2):
        done = place.undo(bridged=BRIDGED)
        assert [(one[0], one[1]) for one in done.left] == [(odd, "one"), (cron, "many")]
        assert "77 seconds" in done.left[0][2]
    assert len(place.actions()) == 2
    # An event of another hook tells the name of that recurrence.
    option = CronOption.decode(place.data)
    option.add([event("elsewhere", interval=77, name="odd")])
    place.write(option.encode())
    assert place.undo(bridged=BRIDGED).scheduled == 1
    assert ("one", LATER, "odd", "[]") in told_of(place)


def test_what_a_runner_has_is_left_for_the_next_undo(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    held = from_php(place, "one", 6)
    table = "wp_actionscheduler_actions"
    change(place.store, f"UPDATE {table} SET claim_id = 9 WHERE action_id = {held}")
    assert (place.undo(dry_run=True, bridged=BRIDGED).busy, place.undo(bridged=BRIDGED).busy) == (
        1,
        1,
    )
    change(place.store, f"UPDATE {table} SET claim_id = 0 WHERE action_id = {held}")
    done = place.undo(bridged=BRIDGED)
    assert (done.busy, done.scheduled) == (0, 1)


def test_what_is_there_already_is_not_doubled(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    from_php(place, "one", 6), from_php(place, "one", 6)
    from_php(place, "many", interval=3600, at=LATER + 9)
    # PHP has scheduled both where the bridge was not asked.
    option = CronOption.decode(place.data)
    option.add([event("many", interval=3600, name="hourly")])
    place.write(option.encode())
    assert place.undo(bridged=BRIDGED).scheduled == 3
    assert told_of(place) == [
        ("many", LATER, "hourly", "[]"),
        ("one", LATER, None, "[5]"),
        ("one", LATER, None, "[6]"),
    ]


def test_an_undo_that_was_stopped_knows_what_left_the_bridge(place: Place) -> None:
    place.set(event("one", 5))
    place.move()
    with place.journal() as journal:
        it = Undo(place.queue, journal, bridged=BRIDGED, now=lambda: place.clock)
        done = it.run()
        # A request that had loaded the bridge before schedules a moment later.
        from_php(place, "one", 6)
        assert unfinished(journal) == BRIDGED
        it.finish(done)
        assert done.scheduled == 1
        assert unfinished(journal) is None
    assert place.actions() == []


def test_more_than_a_batch_goes_back_beside_a_writer(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set(event("one", 5))
    place.move()
    monkeypatch.setattr("wpbridge.migrate.wp_cron.scheduled_since.BATCH", 2)
    for number in range(5):
        from_php(place, "one", number + 10)

    real, tries = type(place.store.parts.options).swap, iter((True, False, True, False, False))

    def late(self: Any, name: str, old: bytes, new: bytes) -> bool:
        """Every other time somebody has written the option."""
        return next(tries, True) and real(self, name, old, new)

    monkeypatch.setattr(type(place.store.parts.options), "swap", late)
    done = place.undo(bridged=BRIDGED)
    assert (done.scheduled, done.faults, place.actions()) == (5, [], [])
    assert place.hooks == ["one"] * 6
    assert len(place.actions("canceled")) == 6
