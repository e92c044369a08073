"""The files in deploy/: what they start is there, and the times in them fit each other."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import docs
from wpbridge.config import Settings, load
from wpbridge.moments import seconds_of

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
UNIT = DEPLOY / "systemd" / "wpbridge@.service"
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text("utf-8"))
KUBERNETES = yaml.safe_load((DEPLOY / "kubernetes" / "wpbridge.yaml").read_text("utf-8"))
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")


def unit() -> configparser.ConfigParser:
    # Keys keep their case; % means an instance there, and nothing here.
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(UNIT, "utf-8")
    return parser


def service() -> dict[str, Any]:
    return dict(COMPOSE["services"]["wpbridge"])


def container() -> dict[str, Any]:
    return dict(KUBERNETES["spec"]["template"]["spec"]["containers"][0])


def probes() -> list[list[str]]:
    kinds = ("startupProbe", "livenessProbe", "readinessProbe")
    return [container()[kind]["exec"]["command"] for kind in kinds]


COMMANDS = [
    unit()["Service"]["ExecStart"].replace("/opt/wpbridge/bin/", ""),
    " ".join(["wpbridge", *service()["command"]]),
    " ".join(service()["healthcheck"]["test"][1:]),
    " ".join(["wpbridge", *container()["args"]]),
    *(" ".join(words) for words in probes()),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_started_is_a_command_with_options_there_are(command: str) -> None:
    assert docs.unknown_words(command) == []


def test_variables_are_settings() -> None:
    env = {
        **{name: "mysql://u:p@db/w" if "DSN" in name else str(value)
           for name, value in service()["environment"].items()},
        **{one["name"]: one.get("value", "mysql://u:p@db/w") for one in container()["env"]},
        **dict(re.findall(r"^ENV (\w+)=(.*)$", DOCKERFILE, re.MULTILINE)),
    }  # fmt: skip
    settings = load({}, env, Path("/"))
    assert settings.heartbeat_file == Path("/run/wpbridge/heartbeat")
    assert settings.log_format == "json"


def drain_of(command: str) -> float:
    told = re.search(r"--drain-timeout (\S+)", command)
    default = Settings().drain_timeout
    assert default is not None
    seconds = seconds_of(told[1]) if told else default.total_seconds()
    assert seconds is not None
    return seconds


def test_everybody_waits_longer_than_the_drain() -> None:
    waits = {
        COMMANDS[0]: seconds_of(unit()["Service"]["TimeoutStopSec"]),
        COMMANDS[1]: seconds_of(service()["stop_grace_period"]),
        COMMANDS[3]: float(KUBERNETES["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]),
    }
    for command, wait in waits.items():
        assert wait is not None
        assert wait >= drain_of(command) + 10, command


def test_the_heartbeat_lies_where_it_can_be_written() -> None:
    mounts = {one["mountPath"] for one in container()["volumeMounts"]}
    assert {"/run/wpbridge", "/tmp"} <= mounts  # noqa: S108 - a mount of its own
    assert "mkdir /run/wpbridge" in DOCKERFILE


def test_liveness_does_not_ask_the_database() -> None:
    assert container()["livenessProbe"]["exec"]["command"][-1] == "live"
    assert service()["healthcheck"]["test"][-1] == "live"


def test_the_unit_says_how_the_daemon_is_to_be_treated() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert "78" in service["RestartPreventExitStatus"].split()
    assert "143" in service["SuccessExitStatus"].split()
    assert (seconds_of(service["WatchdogSec"]) or 0) >= 30


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text("utf-8").replace("/opt/wpbridge/bin/wpbridge", "/bin/true")
    (tmp_path / UNIT.name).write_text(text.replace("/srv/%i", str(tmp_path)), "utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / "wpbridge@shop.service")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    about_us = [line for line in done.stderr.splitlines() if "wpbridge" in line]
    assert about_us == [], done.stderr
