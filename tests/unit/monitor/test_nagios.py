"""The line of `check --nagios`."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from factories import NOW
from well import HISTORY, READINGS
from wpbridge.errors import InputError
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.history import Ended
from wpbridge.monitor.nagios import MOST_SAID, Report, State, bounds_of, report, unknown

BUSY = replace(
    READINGS,
    due=12,
    oldest_due_seconds={"": 3.0},
    last_run={"php": NOW - timedelta(seconds=1.5)},
)


def told(
    readings: object = BUSY, *, warning: str = "", critical: str = "", hooks: Any = None
) -> Report:
    facts = Facts(
        at=NOW,
        readings=readings,  # type: ignore[arg-type]
        five_minutes=HISTORY,
        quarter_hour=replace(HISTORY, hooks=hooks or {}),
        callbacks=HISTORY,
    )
    return report(facts, bounds_of(warning.split(), critical.split()))


def test_all_is_well() -> None:
    assert told() == (
        State.OK,
        (
            "OK - 12 actions due, the oldest for 3 s|due=12;;;0 oldest_due=3s;600;;0"
            " no_runner=1.500s;;300;0 running=0s;3600;;0 db_errors=0;10;;0 recurring_stopped=0;0;;0"
        ),
    )
    assert told(READINGS).line.startswith("OK - nothing is due|due=0;;;0 ")


def test_the_worst_comes_first() -> None:
    state, line = told(replace(BUSY, oldest_due_seconds={"": 700.0}, last_run={}))
    assert (state, line.partition("|")[0]) == (
        State.CRITICAL,
        (
            "CRITICAL - Actions are due, and no runner has given a sign for more than 5 min;"
            " The oldest due action has been due for 11.7 min"
        ),
    )
    assert " no_runner=U;;300;0 " in line


@pytest.mark.parametrize(
    ("warning", "critical", "state"),
    [
        ("due=11", "", State.WARNING),
        ("due=12", "", State.OK),
        ("due=5", "due=11", State.CRITICAL),
        ("", "oldest_due=2s", State.CRITICAL),
        ("no_runner=1s", "", State.WARNING),
        ("", "no_runner=1s", State.CRITICAL),
    ],
)
def test_thresholds_are_given(warning: str, critical: str, state: State) -> None:
    assert told(warning=warning, critical=critical).state == state


def test_thresholds_are_switched_off() -> None:
    dead = replace(BUSY, last_run={})
    assert told(dead, critical="no_runner=off").state == State.OK


def test_hooks_are_one_number_and_their_names_harm_nothing() -> None:
    state, line = told(
        hooks={"mail": Ended(failed=1, complete=9), "a|b": Ended(failed=1, complete=1)}
    )
    text, numbers = line.split("|")
    assert state == State.WARNING
    assert "10 % of the actions of the hook mail" in text
    assert "of the hook a/b " in text
    assert " failed=50%;5;;0" in numbers
    many = told(hooks={f"hook{number}": Ended(failed=1) for number in range(50)})
    assert many.line.count("of the hook") == MOST_SAID
    assert f"; and {50 - MOST_SAID} more|" in many.line


def test_its_form_is_that_of_the_guidelines() -> None:
    _, numbers = told(warning="due=1.5", critical="due=2").line.split("|")
    for one in numbers.split():
        assert re.fullmatch(r"\w+=(U|\d+(\.\d+)?(s|%)?)(;[\d.]*){2};0", one), one


def test_whatever_goes_wrong_is_unknown() -> None:
    assert unknown("one\ntwo | three") == (State.UNKNOWN, "UNKNOWN - one two / three")


@pytest.mark.parametrize("flag", ["x=1", "due", "due=", "due=many", "oldest_due=off2", "failed=-1"])
def test_what_is_no_threshold_is_refused(flag: str) -> None:
    with pytest.raises(InputError):
        bounds_of([flag], [])
