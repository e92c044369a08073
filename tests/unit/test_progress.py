"""Progress off a terminal: a line each ten seconds, on stderr."""

import pytest

from wpbridge.cli.progress import counting, percents


def test_a_line_each_ten_seconds_tells_how_far_and_how_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    with counting("export", 100_000, lines=True, clock=lambda: now) as advance:
        for at, count in ((5.0, 20_000), (10.0, 20_000), (19.0, 5_000), (20.0, 5_000)):
            now = at
            advance(count)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "export: 40,000 of 100,000, 4,000/s, 0:00:15 left\n"
        "export: 50,000 of 100,000, 2,500/s, 0:00:20 left\n"
    )


def test_without_a_total_nothing_is_foretold(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with counting("import", None, lines=True, clock=lambda: now) as advance:
        now = 10.0
        advance(0)
        now = 20.0
        advance(7)
    assert capsys.readouterr().err == "import: 0, 0/s\nimport: 7, 0/s\n"


def test_no_lines_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with counting("clean", 10, clock=lambda: now) as advance:
        now = 100.0
        advance(5)
    assert capsys.readouterr().err == ""


def test_what_a_server_does_is_told_in_percent_or_only_how_long_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = 0.0
    with percents("add index", clock=lambda: now) as told:
        for at, percent in ((5.0, 20.0), (10.0, None), (19.0, 30.0), (20.0, 40.0), (30.0, 0.0)):
            now = at
            told(percent)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "add index: after 0:00:10\n"
        "add index: 40 % after 0:00:20, 0:00:30 left\n"
        "add index: 0 % after 0:00:30\n"
    )
