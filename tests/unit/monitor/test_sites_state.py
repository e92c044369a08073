"""The state that a daemon for many sites tells: written whole, read back the same, and private."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wpbridge.errors import ConfigError
from wpbridge.monitor.sites_state import SitesState, SiteState, read, state_file, write
from wpbridge.site.config import load

AT = datetime(2026, 11, 30, 4, 5, 6, 789000, tzinfo=UTC)
STATE = SitesState(
    pid=7,
    written_at=AT,
    monotonic=100.0,
    daemon="working",
    place="/etc/wpbridge/sites.toml",
    list_problem="it is gone",
    faults=("site 3: it has no path",),
    most_running=8,
    running=1,
    waiting=1,
    most_php=4,
    php=1,
    sites=(
        SiteState(name="a", place="/srv/a", user="alice", condition="idle", next_look=AT),
        SiteState(
            name="b",
            place="/srv/b",
            user="bob",
            condition="running",
            last_look=AT,
            last_run=AT,
            runs=3,
            pid=99,
            php_workers=1,
            in_hand=2,
            counts={"complete": 5},
        ),
        SiteState(name="c", place="/srv/c", user="", condition="bad", reason="no", failures=2),
    ),
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "sites.json"
    write(file, STATE)
    assert read(file) == STATE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert STATE.count("bad", "idle") == 2


def test_a_dead_daemon_is_seen_by_its_age() -> None:
    assert not STATE.is_old(119.0)
    assert STATE.is_old(121.0)
    assert STATE.is_old(99.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"form": 2}',
        "[" * 100_000,
        json.dumps({**STATE.to_json(), "more": 1}),
        json.dumps({**STATE.to_json(), "sites": [{"name": "a"}]}),
        json.dumps(STATE.to_json()).replace('"idle"', '"asleep"'),
    ],
)
def test_what_is_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "sites.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(file)


def test_neither_a_pipe_nor_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "sites.json"
    with pytest.raises(ConfigError, match="no daemon has written"):
        read(file)
    os.mkfifo(file)
    with pytest.raises(ConfigError, match="not a file of yours"):
        read(file)


def test_the_place_is_said_by_the_settings(tmp_path: Path) -> None:
    told = load({"sites_state_file": "state.json"}, {}, tmp_path)
    assert state_file(told, {}) == tmp_path / "state.json"
    found = state_file(load({}, {}, tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path)})
    usual = Path("/run/wpbridge-sites") if os.geteuid() == 0 else tmp_path / "wpbridge"
    assert found == usual / "sites.json"
