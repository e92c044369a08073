from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from wpbridge.codec import schedule
from wpbridge.codec.schedule import (
    Async,
    Canceled,
    Cron,
    ForeignSchedule,
    Interval,
    Schedule,
    Single,
)
from wpbridge.errors import CodecError, CronError

T = 1_700_000_000
FIRST = 1_600_000_000
HOURLY = Interval(timestamp=T, first_timestamp=FIRST, recurrence=3600)
NIGHTLY = Cron(timestamp=1_700_017_200, first_timestamp=FIRST, expression="0 3 * * *")

SINGLE = "ActionScheduler_SimpleSchedule"
INTERVAL = "ActionScheduler_IntervalSchedule"
CRON = "ActionScheduler_CronSchedule"
CANCELED = "ActionScheduler_CanceledSchedule"


def at(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def blob_of(php_class: str, **properties: str) -> bytes:
    """A blob with texts for values; ``p_x`` stands for protected x, ``o_x`` for private x."""
    items = []
    for name, value in properties.items():
        kind, plain = name[:2], name[2:]
        stored = {"p_": f"\0*\0{plain}", "o_": f"\0{php_class}\0{plain}"}.get(kind, name)
        items.append(f's:{len(stored)}:"{stored}";{value}')
    head = f'O:{len(php_class)}:"{php_class}":{len(items)}:'
    return f"{head}{{{''.join(items)}}}".encode()


def cron_object(expression: str, fields: str = "a:0:{}") -> str:
    parts = expression.split()
    stored = "".join(f'i:{n};s:{len(part)}:"{part}";' for n, part in enumerate(parts))
    return (
        f'O:14:"CronExpression":2:{{s:25:"\0CronExpression\0cronParts";a:{len(parts)}:{{{stored}}}'
        's:28:"\0CronExpression\0fieldFactory";O:27:"CronExpression_FieldFactory":1:'
        f'{{s:35:"\0CronExpression_FieldFactory\0fields";{fields}}}}}'
    )


def refusal(blob: bytes) -> CodecError:
    with pytest.raises(CodecError) as caught:
        schedule.decode(blob)
    return caught.value


@pytest.mark.parametrize(
    ("value", "blob"),
    [
        (Async(), b'O:28:"ActionScheduler_NullSchedule":0:{}'),
        (
            Single(timestamp=T),
            blob_of(SINGLE, p_scheduled_timestamp=f"i:{T};", o_timestamp=f"i:{T};"),
        ),
        (
            Canceled(timestamp=T),
            blob_of(CANCELED, p_scheduled_timestamp=f"i:{T};", o_timestamp="N;"),
        ),
        (
            HOURLY,
            blob_of(
                INTERVAL,
                p_scheduled_timestamp=f"i:{T};",
                p_first_timestamp=f"i:{FIRST};",
                p_recurrence="i:3600;",
                o_start_timestamp=f"i:{T};",
                o_interval_in_seconds="i:3600;",
            ),
        ),
    ],
)
def test_schedules_are_written_as_the_plugin_does_and_read_back(
    value: Schedule, blob: bytes
) -> None:
    assert schedule.encode(value) == blob
    assert schedule.decode(blob) == value


@pytest.mark.parametrize(
    ("recurrence", "stored", "seconds"),
    [
        (3600, b"i:3600;", 3600),
        (-60, b"i:-60;", -60),
        ("3600", b's:4:"3600";', 3600),
        ("60.0", b's:4:"60.0";', 60),
        (" 60abc", b's:6:" 60abc";', 60),
        ("1e3", b's:3:"1e3";', 1000),
        (3600.0, b"d:3600;", 3600),
        (60.9, b"d:60.9;", 60),
    ],
)
def test_an_interval_keeps_the_php_type_of_its_recurrence(
    recurrence: float | str, stored: bytes, seconds: int
) -> None:
    value = replace(HOURLY, recurrence=recurrence)
    blob = schedule.encode(value)
    assert blob.count(stored) == 2
    assert schedule.decode(blob) == value
    following = schedule.next_after_run(value, ran_at=at(T + 5))
    assert following == replace(value, timestamp=T + 5 + seconds)


def test_cron_is_written_with_its_fields_in_order() -> None:
    blob = schedule.encode(NIGHTLY)
    assert cron_object("0 3 * * *").split("fields")[0].encode() in blob
    assert blob.endswith(b's:34:"\0ActionScheduler_CronSchedule\0cron";r:4;}')
    assert schedule.decode(blob) == NIGHTLY
    with_year = replace(NIGHTLY, expression="0 3 * * * 2030")
    assert b'i:5;O:24:"CronExpression_YearField":0:{}' in schedule.encode(with_year)
    assert schedule.decode(schedule.encode(with_year)) == with_year


@pytest.mark.parametrize(
    ("blob", "meaning"),
    [
        (blob_of(SINGLE, o_timestamp=f"i:{T};"), Single(timestamp=T)),
        (blob_of(SINGLE, timestamp=f"i:{T};"), Single(timestamp=T)),
        (blob_of(SINGLE, scheduled_timestamp=f"i:{T};"), Single(timestamp=T)),
        (blob_of(SINGLE, p_scheduled_timestamp="i:5;", o_timestamp="i:6;"), Single(timestamp=5)),
        (blob_of(SINGLE, p_scheduled_timestamp="N;", o_timestamp="i:6;"), Single(timestamp=6)),
        (blob_of(SINGLE, p_scheduled_timestamp='s:1:"5";'), Single(timestamp=5)),
        (blob_of(SINGLE, p_scheduled_timestamp='s:4:"-5.5";'), Single(timestamp=-6)),
        (blob_of(SINGLE, p_scheduled_timestamp="d:5.9;"), Single(timestamp=5)),
        (blob_of(SINGLE, p_scheduled_timestamp="i:-5;"), Single(timestamp=-5)),
        (blob_of(SINGLE, p_scheduled_timestamp="b:0;"), Single(timestamp=None)),
        (blob_of(SINGLE, p_scheduled_timestamp='s:0:"";'), Single(timestamp=None)),
        (blob_of(SINGLE, p_scheduled_timestamp="i:0;"), Single(timestamp=0)),
        (blob_of(SINGLE, p_scheduled_timestamp="d:0;"), Single(timestamp=0)),
        (blob_of(SINGLE), Single(timestamp=None)),
        (blob_of(CANCELED, o_timestamp="i:6;"), Canceled(timestamp=6)),
        (
            blob_of(CANCELED, p_scheduled_timestamp="i:5;", o_timestamp="i:6;"),
            Canceled(timestamp=6),
        ),
        (blob_of("ActionScheduler_NullSchedule", p_scheduled_timestamp="i:5;"), Async()),
        (
            blob_of(INTERVAL, o_start_timestamp=f"i:{T};", o_interval_in_seconds="i:60;"),
            Interval(timestamp=T, first_timestamp=T, recurrence=60),
        ),
        (
            blob_of(INTERVAL, p_recurrence="i:60;", p_scheduled_timestamp=f"i:{T};"),
            Interval(timestamp=T, first_timestamp=T, recurrence=60),
        ),
        (blob_of(INTERVAL), Interval(timestamp=None, first_timestamp=None, recurrence=None)),
        (
            blob_of(CRON, o_start_timestamp=f"i:{T};", o_cron=cron_object("0 3 * * *")),
            Cron(timestamp=T, first_timestamp=T, expression="0 3 * * *"),
        ),
        (
            blob_of(CRON, p_recurrence='s:9:"0 3 * * *";', p_scheduled_timestamp=f"i:{T};"),
            Cron(timestamp=T, first_timestamp=T, expression="0 3 * * *"),
        ),
        (
            blob_of(CRON, p_scheduled_timestamp=f"i:{T};"),
            Cron(timestamp=T, first_timestamp=T, expression=""),
        ),
    ],
)
def test_old_and_odd_forms_are_read_as_the_plugin_does(blob: bytes, meaning: Schedule) -> None:
    assert schedule.decode(blob) == meaning


@pytest.mark.parametrize(
    ("stored", "first"),
    [
        ("N;", T),
        ("i:0;", T),
        ("i:-5;", T),
        ('s:2:"-5";', T),
        ('s:0:"";', T),
        ("d:-0.5;", T),
        ('s:1:"5";', 5),
        ("d:5.5;", 5),
        ("d:0.5;", 0),
    ],
)
def test_a_chain_without_a_first_date_began_with_this_one(stored: str, first: int) -> None:
    blob = blob_of(
        INTERVAL,
        p_scheduled_timestamp=f"i:{T};",
        p_first_timestamp=stored,
        p_recurrence="i:60;",
    )
    expected = Interval(timestamp=T, first_timestamp=first, recurrence=60)
    assert schedule.decode(blob) == expected


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"garbage",
        b"i:5;",
        b"a:0:{}",
        b'O:30:"ActionSch',
        b'o:30:"ActionScheduler_SimpleSchedule":0:{}',
        b'O:31:"\\ActionScheduler_SimpleSchedule":0:{}'[:-1],
        b" " + blob_of(SINGLE, o_timestamp="i:1;"),
        b'E:9:"Foo\\Bar:X";',
        blob_of(SINGLE, p_scheduled_timestamp='s:3:"abc";'),
        blob_of(SINGLE, p_scheduled_timestamp="b:1;"),
        blob_of(SINGLE, p_scheduled_timestamp="a:0:{}"),
        blob_of(SINGLE, p_scheduled_timestamp="d:1.0E+25;"),
        blob_of(SINGLE, p_scheduled_timestamp="d:NAN;"),
        blob_of(INTERVAL, p_first_timestamp='s:3:"abc";'),
        blob_of(INTERVAL, p_recurrence="a:0:{}"),
        blob_of(SINGLE, x="a:1:{i:0;" * 100 + "N;" + "}" * 100),
    ],
)
def test_what_the_plugin_could_not_load_is_a_codec_error(blob: bytes) -> None:
    refusal(blob)


@pytest.mark.parametrize(
    "blob", [b'O:11:"My\\Schedule":1:{s:1:"x";r:1;}', b'C:11:"My\\Schedule":3:{abc}']
)
def test_a_foreign_class_is_kept_as_it_is(blob: bytes) -> None:
    foreign = schedule.decode(blob)
    assert foreign == ForeignSchedule(php_class="My\\Schedule", blob=blob)
    assert schedule.encode(foreign) == blob
    assert not foreign.is_recurring
    assert schedule.next_after_run(foreign, ran_at=at(T)) is None


@pytest.mark.parametrize("value", [Async(), Single(timestamp=T), HOURLY, NIGHTLY])
@pytest.mark.parametrize("rest", [b"\n", b"\r\n", b" ", b"\0", b"}", b";", b"O:1:"])
def test_bytes_behind_a_schedule_mean_nothing(value: Schedule, rest: bytes) -> None:
    blob = schedule.encode(value)
    assert schedule.decode(blob + rest) == value
    assert schedule.class_of((blob + rest)[: schedule.PREFIX_BYTES]) == value.php_class


@pytest.mark.parametrize("value", [Async(), Single(timestamp=T), HOURLY, NIGHTLY])
@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes.swapcase])
def test_the_case_of_a_class_means_nothing(
    value: Schedule, change: Callable[[bytes], bytes]
) -> None:
    blob = schedule.encode(value)
    names = (value.php_class, "CronExpression_FieldFactory", "CronExpression")
    for name in (name.encode() for name in names):
        blob = blob.replace(b'"%s"' % name, b'"%s"' % change(name))
        blob = blob.replace(b"\0%s\0" % name, b"\0%s\0" % change(name))
    assert schedule.class_of(blob[: schedule.PREFIX_BYTES]) == value.php_class
    assert schedule.decode(blob) == value
    successor = schedule.next_after_run(schedule.decode(blob), ran_at=at(T + 5))
    assert successor == schedule.next_after_run(value, ran_at=at(T + 5))


def test_an_object_that_wrote_itself_has_nothing_in_it() -> None:
    blob = b'C:30:"actionscheduler_simpleschedule":2:{ab}'
    assert schedule.decode(blob) == Single(timestamp=None)
    assert schedule.class_of(blob) == SINGLE


def test_a_property_is_found_under_each_name_that_php_takes_for_it() -> None:
    def date_of(**properties: str) -> int | None:
        return schedule.decode(blob_of(SINGLE, **properties)).timestamp

    def owned(owner: str, name: str) -> str:
        return f"\0{owner}\0{name}"

    assert date_of(scheduled_timestamp="i:5;") == 5
    assert date_of(**{owned(SINGLE.upper(), "scheduled_timestamp"): "i:5;"}) == 5
    assert date_of(**{owned(SINGLE.lower(), "timestamp"): "i:5;"}) == 5
    assert date_of(**{owned("Foo", "timestamp"): "i:5;"}) is None
    assert date_of(scheduled_timestamp="i:5;", p_scheduled_timestamp="i:6;") == 6
    assert date_of(p_scheduled_timestamp="i:6;", scheduled_timestamp="i:5;") == 5


@pytest.mark.parametrize("name", ["\0", "\0*", "\0*8recurrence", "\0\0x"])
@pytest.mark.parametrize("php_class", [SINGLE, "ActionScheduler_NullSchedule", CRON])
def test_a_damaged_property_name_is_refused_as_in_php(php_class: str, name: str) -> None:
    assert "property name" in str(refusal(blob_of(php_class, **{name: "i:5;"})))


def test_so_is_one_of_a_cron_expression_that_is_not_used() -> None:
    good = cron_object("0 3 * * *")
    damaged = good.replace("\0CronExpression_FieldFactory\0", "\0CronExpression_FieldFactory-")
    assert isinstance(schedule.decode(blob_of(CRON, p_recurrence=good, o_cron=good)), Cron)
    refused = refusal(blob_of(CRON, p_recurrence=good, o_cron=damaged))
    assert "property name" in str(refused)


@pytest.mark.parametrize(
    ("stored", "seconds"),
    [
        ("d:1700000000.123456;", 1_700_000_000),
        ("d:-1.5;", -2),
        ("d:99999999999999;", 99_999_999_999_999),
        ("d:999999999999999;", None),
        ("d:0.9527064;", None),
        ('s:12:"5.1234567   ";', None),
        ('s:10:"5.123456  ";', 5),
    ],
)
def test_a_date_with_a_fraction_is_read_as_php_writes_and_reads_it(
    stored: str, seconds: int | None
) -> None:
    blob = blob_of(SINGLE, p_scheduled_timestamp=stored)
    if seconds is None:
        assert "no Unix time" in str(refusal(blob))
    else:
        assert schedule.decode(blob) == Single(timestamp=seconds)


def test_parts_that_are_no_list_have_no_next_date() -> None:
    shifted = cron_object("0 3 * * *").replace("i:0;s:1", "i:5;s:1", 1)
    told = schedule.decode(blob_of(CRON, p_scheduled_timestamp=f"i:{T};", p_recurrence=shifted))
    assert told == Cron(timestamp=T, first_timestamp=T, expression="")
    with pytest.raises(CronError):
        schedule.next_after_run(told, ran_at=at(T + 5))


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ('a:1:{i:3;O:25:"cronexpression_MONTHfield":0:{}}', "0 3 * * *"),
        ("N;", "0 3 * * *"),
        ('a:1:{i:3;O:29:"CronExpression_DayOfWeekField":0:{}}', ""),
        ("a:1:{i:3;i:5;}", ""),
    ],
)
def test_parts_that_others_read_have_no_next_date(fields: str, expression: str) -> None:
    told = schedule.decode(blob_of(CRON, p_recurrence=cron_object("0 3 * * *", fields)))
    assert told == Cron(timestamp=None, first_timestamp=None, expression=expression)


def test_a_blank_date_is_now_and_one_in_words_is_told_as_such() -> None:
    blank = blob_of(SINGLE, p_scheduled_timestamp='s:2:" \n";')
    assert schedule.decode(blank) == Single(timestamp=None)
    words = blob_of(SINGLE, p_scheduled_timestamp='s:8:"tomorrow";')
    assert "its date is in words" in str(refusal(words))


def test_the_class_is_read_off_the_first_bytes() -> None:
    for value in (Async(), Single(timestamp=T), HOURLY, NIGHTLY, Canceled(timestamp=T)):
        found = schedule.class_of(schedule.encode(value)[: schedule.PREFIX_BYTES])
        assert found == value.php_class
        assert found in schedule.KNOWN_CLASSES
    assert schedule.class_of(b'O:11:"My\\Schedule":1:{') == "My\\Schedule"
    for damaged in (b"", b"a:0:{}", b'O:30:"ActionSch', b'O:5:"Foo":0:{}', b"O:3:Foo"):
        assert schedule.class_of(damaged) is None


def test_a_class_name_longer_than_the_prefix_comes_back_cut() -> None:
    name = "N\\" + "x" * 100
    blob = f'O:{len(name)}:"{name}":0:{{}}'.encode()
    found = schedule.class_of(blob[: schedule.PREFIX_BYTES])
    assert found is not None
    assert name.startswith(found)
    assert found not in schedule.KNOWN_CLASSES


def test_what_would_run_without_a_pause_is_not_written() -> None:
    for value in (
        Single(timestamp=None),
        Canceled(timestamp=None),
        replace(HOURLY, timestamp=None),
        replace(HOURLY, first_timestamp=None),
        replace(HOURLY, recurrence=None),
        replace(HOURLY, recurrence=0),
        replace(HOURLY, recurrence="daily"),
        replace(HOURLY, timestamp=2**63),
        replace(NIGHTLY, timestamp=None),
        replace(NIGHTLY, expression="0 3 * *"),
        replace(NIGHTLY, expression="0 3 * * * * *"),
    ):
        with pytest.raises(CodecError):
            schedule.encode(value)


def test_new_schedules_are_made_from_moments_in_any_zone() -> None:
    berlin = datetime(2026, 1, 1, 12, 0, 30, 999_999, tzinfo=timezone(timedelta(hours=1)))
    noon = 1_767_265_230
    assert schedule.single(berlin) == Single(timestamp=noon)
    assert schedule.interval(berlin, 60) == Interval(
        timestamp=noon, first_timestamp=noon, recurrence=60
    )
    with pytest.raises(CodecError):
        schedule.interval(berlin, 0)


def test_a_new_cron_schedule_may_match_the_minute_it_starts_in() -> None:
    start = datetime(2026, 1, 1, 3, 0, 59, tzinfo=UTC)
    made = schedule.cron_schedule(start, "@daily")
    assert made.expression == "0 0 * * *"
    assert made.timestamp == int(datetime(2026, 1, 2, tzinfo=UTC).timestamp())
    assert made.first_timestamp == int(start.timestamp()) - 59
    made = schedule.cron_schedule(start, "0  3 * * *")
    assert made.timestamp == made.first_timestamp == int(start.timestamp()) - 59
    assert made.expression == "0 3 * * *"
    with pytest.raises(CronError):
        schedule.cron_schedule(start, "@midnight")


@pytest.mark.parametrize(
    ("ran_at", "following"),
    [
        (T - 50, T),
        (T, T),
        (T + 0.000001, T + 3600),
        (T + 0.9, T + 3600),
        (T + 1, T + 3601),
        (T + 100_000.5, T + 103_600),
    ],
)
def test_an_interval_counts_from_the_run_unless_it_came_early(
    ran_at: float, following: int
) -> None:
    successor = schedule.next_after_run(HOURLY, ran_at=at(ran_at))
    assert successor == replace(HOURLY, timestamp=following)


def test_an_interval_without_a_date_counts_from_the_run() -> None:
    undated = Interval(timestamp=None, first_timestamp=None, recurrence=60)
    successor = schedule.next_after_run(undated, ran_at=at(T))
    assert successor == Interval(timestamp=T + 60, first_timestamp=T, recurrence=60)


def test_cron_comes_next_after_the_minute_of_the_run() -> None:
    due = NIGHTLY.timestamp
    assert due is not None
    for ran_at, following in ((due - 50, due), (due, due), (due + 1, due + 86_400)):
        successor = schedule.next_after_run(NIGHTLY, ran_at=at(ran_at))
        assert successor == replace(NIGHTLY, timestamp=following)


def test_cron_that_was_moved_off_its_pattern_comes_next_at_a_match() -> None:
    due = NIGHTLY.timestamp
    assert due is not None
    moved = replace(NIGHTLY, timestamp=due - 1000)
    assert schedule.next_after_run(moved, ran_at=at(due - 5000)) == NIGHTLY


def test_a_chain_that_cannot_go_on_says_why() -> None:
    with pytest.raises(CronError):
        schedule.next_after_run(replace(NIGHTLY, expression=""), ran_at=at(T))
    with pytest.raises(CronError):
        schedule.next_after_run(replace(NIGHTLY, expression="0 3 30 2 *"), ran_at=at(2 * T))
    with pytest.raises(CodecError, match="9999"):
        schedule.next_after_run(replace(HOURLY, recurrence=1e25), ran_at=at(2 * T))
    with pytest.raises(CodecError, match="9999"):
        schedule.next_after_run(replace(HOURLY, timestamp=2**62), ran_at=at(T))
    with pytest.raises(CodecError, match="9999"):
        schedule.next_after_run(replace(NIGHTLY, timestamp=2**62), ran_at=at(T))
    with pytest.raises(CodecError, match="year 1"):
        schedule.next_after_run(replace(HOURLY, recurrence=-99_999_999_999), ran_at=at(2 * T))
    with pytest.raises(CodecError, match="year 1"):
        schedule.next_after_run(replace(HOURLY, recurrence=-(2**63)), ran_at=at(2 * T))


@pytest.mark.parametrize(
    "value",
    [Async(), Single(timestamp=T), Canceled(timestamp=T), replace(HOURLY, recurrence=0)],
)
def test_what_does_not_repeat_has_no_successor(value: Schedule) -> None:
    assert not value.is_recurring
    assert schedule.next_after_run(value, ran_at=at(T + 5)) is None


def test_what_repeats_says_so() -> None:
    assert HOURLY.is_recurring
    assert NIGHTLY.is_recurring
