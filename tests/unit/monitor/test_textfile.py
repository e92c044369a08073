"""The file of metrics for node_exporter: counters that never fall, written whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heard import heard
from wpbridge.errors import ConfigError
from wpbridge.monitor import textfile
from wpbridge.telling.counting import Counter, What, numbers_of
from wpbridge.telling.exposition import numbers_in
from wpbridge.telling.numbers import Numbers

COMPLETED = "wpbridge_actions_completed_total", ("mail", "send", "wpbridge")


def counted(times: int = 1) -> Numbers:
    counter = Counter()
    take = counter.reader("metrics")
    for _ in range(times):
        counter.add(What(0, "send", "mail", "complete"), 0.3, 2.0)
    return numbers_of(take())


def gauge(value: float) -> Numbers:
    found = Numbers()
    found.set("wpbridge_claims_active", value=value)
    return found


def test_each_run_adds_to_the_counters_and_replaces_the_gauges(tmp_path: Path) -> None:
    file = tmp_path / "wpbridge.prom"
    textfile.add(file, counted(), gauge(3), site="shop")
    textfile.add(file, counted(2), gauge(1), site="shop")
    text = file.read_text()
    told = numbers_in(text)
    assert told.values[COMPLETED] == 3
    [(_, [seconds, *buckets])] = [
        one for one in told.histograms.items() if one[0][0] == "wpbridge_action_duration_seconds"
    ]
    assert (round(seconds, 6), sum(buckets)) == (0.9, 3)
    assert 'wpbridge_claims_active{site="shop"} 1.0' in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_runs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "wpbridge.prom"
    with ThreadPoolExecutor(8) as threads:
        for _ in range(40):
            threads.submit(textfile.add, file, counted(), Numbers(), site="shop")
    assert numbers_in(file.read_text()).values[COMPLETED] == 40


@pytest.mark.parametrize(
    "text",
    [
        "not metrics {",
        'wpbridge_actions_completed_total{site="shop"} 3\n',
        'wpbridge_queue_wait_seconds_bucket{le="x",site="shop"} nonsense\n',
    ],
)
def test_a_damaged_file_is_replaced_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    file = tmp_path / "wpbridge.prom"
    file.write_text(text)
    textfile.add(file, counted(), Numbers(), site="shop")
    assert numbers_in(file.read_text()).values[COMPLETED] == 1
    assert heard(caplog) == [f"metrics.textfile_replaced file={file}"]


def test_the_file_of_another_site_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "wpbridge.prom"
    textfile.add(file, counted(), Numbers(), site="shop")
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="give each site its own"):
        textfile.add(file, counted(), Numbers(), site="blog")
    assert file.read_bytes() == before


@pytest.mark.parametrize(("name", "why"), [("x.txt", r"\.prom"), ("none/x.prom", "no folder")])
def test_a_file_that_nobody_would_read_is_refused_at_the_start(
    tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        textfile.check(tmp_path / name)
