"""Whatever a line of a file holds, the import goes on: it is added, or set aside with a reason."""

import io
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import NOW
from hostile_lines import PLACES, RAW, VALUES, file_of, line_with
from rows import query
from stores import make_store
from wpbridge.errors import InputError
from wpbridge.migrate.transfer import files
from wpbridge.migrate.transfer.files import Line
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

Rejected = list[tuple[Line, str]]


def imported(store: RunnerStore, data: bytes, rejected: Rejected) -> Report:
    def reject(line: Line, why: str) -> None:
        rejected.append((line, why))

    return Import(store.parts, Wishes(now=NOW), reject).run(files.read(io.BytesIO(data)))


def check(store: RunnerStore, bad: list[bytes], *, origin: bytes = b"x") -> Rejected:
    """Import them between good lines: each is added or set aside whole, with a reason."""
    rejected: Rejected = []
    report = imported(store, file_of(origin, bad), rejected)
    assert report.problems == []
    assert report.is_whole
    assert report.read == 2 * len(bad) == report.added + report.rejected
    kept = (
        "SELECT COUNT(*) FROM wp_actionscheduler_actions a JOIN wp_actionscheduler_groups g"
        " ON g.group_id = a.group_id WHERE g.slug = 'kept'"
    )
    assert query(store, kept)[0][0] == len(bad)
    for line, why in rejected:
        assert line.text.rstrip(b"\n") == bad[line.number // 2 - 1][: len(line.text)]
        assert why
        assert len(why) < 300
    return rejected


def test_any_value_at_any_key_ends_no_import(store: RunnerStore) -> None:
    cases = itertools.product(PLACES, VALUES)
    bad = [line_with(place, value, 2 * n + 2) for n, (place, value) in enumerate(cases)]
    rejected = check(store, bad)
    assert len(rejected) > len(bad) // 2
    told = {why for _, why in rejected}
    assert not [why for why in told if "cannot be read" in why]


def test_lines_that_are_no_objects_end_no_import(store: RunnerStore) -> None:
    assert len(check(store, RAW)) == len(RAW)


def test_endings_of_lines_and_a_mark_at_the_start_are_taken_as_they_come(
    store: RunnerStore,
) -> None:
    data = file_of(b"x", [line_with(("priority",), b"3", 2)])
    data = b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n\r\n  \n")
    report = imported(store, data, [])
    assert (report.added, report.rejected, report.is_good) == (2, 0, True)


texts = st.text(st.characters(exclude_categories=()), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(["hold", "cron", "interval", "async", "//8="]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
places = st.sampled_from([place for place in PLACES if place != ("id",)])


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(st.lists(st.tuples(places, values.map(json.dumps)), max_size=30), st.binary(max_size=30))
def test_random_values_end_no_import(told: list[tuple[tuple[str, ...], str]], noise: bytes) -> None:
    store = make_store(DatabaseAddress.from_dsn("sqlite://"), "wp_")
    try:
        bad = [line_with(place, one.encode(), 2 * n + 2) for n, (place, one) in enumerate(told)]
        check(store, [*bad, b"{" + noise.replace(b"\n", b"")])
    finally:
        store.close()


@pytest.mark.parametrize(
    "header",
    [
        b'{"wpbridge":"actions","version":[],"origin":"x"}',
        b'{"wpbridge":"actions","version":' + b"[" * 900 + b"]" * 900 + b',"origin":"x"}',
        b'{"wpbridge":"actions","version":1,"origin":[]}',
        b'{"wpbridge":"actions","version":1,"origin":"\\ud800"}',
        b'{"wpbridge":"actions","version":1,"origin":"' + b"x" * 100_000 + b'"}',
        b'{"wpbridge":["actions"],"version":1,"origin":"x"}',
    ],
)
def test_a_header_of_another_kind_is_refused_in_one_line(store: RunnerStore, header: bytes) -> None:
    with pytest.raises(InputError) as caught:
        imported(store, header, [])
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("told", [b"[]", b'"2"', b"null", b"1e999", b"[" * 900 + b"]" * 900])
def test_an_end_that_tells_no_number_is_a_problem(store: RunnerStore, told: bytes) -> None:
    data = file_of(b"x", [RAW[0]]).replace(b'"actions": 2', b'"actions":' + told)
    report = imported(store, data, [])
    assert len(report.problems) == 1
    assert "holds 2" in report.problems[0]
