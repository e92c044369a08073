"""The heartbeat file, and what probes make of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from wpbridge.daemon import heartbeat
from wpbridge.daemon.heartbeat import Beat, Worker

WORKER = Worker(pid=8, state="working", silent_seconds=0.5, database=True)
BEAT = Beat(
    pid=7, at=1000.0, state="working", live=True, ready=True, database=True, workers=(WORKER,)
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    heartbeat.write(file, BEAT)
    assert heartbeat.read(file) == BEAT
    assert file.stat().st_mode & 0o777 == 0o644
    assert [place.name for place in tmp_path.iterdir()] == ["beat"]
    heartbeat.remove(file)
    heartbeat.remove(file)
    assert not file.exists()


def test_a_folder_that_is_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        heartbeat.write(tmp_path / "gone" / "beat", BEAT)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"workers": [{}]}', "\xff"])
def test_any_other_file_is_no_heartbeat(text: str, tmp_path: Path) -> None:
    file = tmp_path / "beat"
    file.write_text(text, "latin-1")
    assert heartbeat.read(file) == "it is no heartbeat file"
    assert heartbeat.not_live(heartbeat.read(file)) == "it is no heartbeat file"
    assert heartbeat.not_ready(heartbeat.read(file)) == "it is no heartbeat file"


@pytest.mark.parametrize(
    ("beat", "now", "live", "ready"),
    [
        (BEAT, 1001.0, None, None),
        (BEAT, 1014.0, None, None),
        (BEAT, 1030.0, "30 s ago", "30 s ago"),
        (BEAT, 500.0, "old", "old"),
        (replace(BEAT, database=False), 1001.0, None, "database"),
        (replace(BEAT, state="stopping"), 1001.0, None, "stopping"),
        (replace(BEAT, state="quiet"), 1001.0, None, None),
        (
            replace(BEAT, ready=False, workers=(replace(WORKER, state="starting"),)),
            1001.0,
            None,
            "starting: 1",
        ),
        (
            replace(BEAT, live=False, workers=(replace(WORKER, silent_seconds=61.0),)),
            1001.0,
            "worker 8",
            "worker 8",
        ),
    ],
)
def test_live_and_ready(beat: Beat, now: float, live: str | None, ready: str | None) -> None:
    for why, expected in (
        (heartbeat.not_live(beat, now=now), live),
        (heartbeat.not_ready(beat, now=now), ready),
    ):
        assert (why is None) is (expected is None), why
        assert expected is None or expected in str(why)
