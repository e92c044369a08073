"""The files in wpbridge/deploy/: what they start is there, and the times in them fit each other.

``test_docker_files.py`` and ``test_kubernetes_files.py`` have those for containers.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner

import docs
from deployed import DEPLOY, DOCKERFILE, ROOT, drain_seconds, unit_of
from wpbridge.app.handed_worker import STOP_SECONDS
from wpbridge.cli.main import cli
from wpbridge.monitor import sites_state
from wpbridge.site.config import Settings, load
from wpbridge.site.moments import seconds_of
from wpbridge.store.database.mysql_engine import RUNNER_ANSWER_SECONDS
from wpbridge.web.bodies import MOST_BATCH_BYTES
from wpbridge.web.events import ALIVE_SECONDS
from wpbridge.web.job_requests import LONGEST_WAIT_SECONDS

UNIT = DEPLOY / "systemd" / "wpbridge@.service"
GATEWAY_UNIT = DEPLOY / "systemd" / "wpbridge-serve@.service"
WATCH_UNIT = DEPLOY / "systemd" / "wpbridge-watch@.service"
RELAY_UNIT = DEPLOY / "systemd" / "wpbridge-relay@.service"
SITES_UNIT = DEPLOY / "systemd" / "wpbridge-sites.service"
CELERY_UNIT = DEPLOY / "systemd" / "wpbridge-celery@.service"


def unit(file: Path = UNIT) -> configparser.ConfigParser:
    return unit_of(file.read_text("utf-8"))


def started_by(file: Path = UNIT) -> str:
    """The command line of a unit, as somebody types it."""
    return unit(file)["Service"]["ExecStart"].replace("/opt/wpbridge/bin/", "")


@pytest.mark.parametrize(
    "file", [UNIT, GATEWAY_UNIT, WATCH_UNIT, SITES_UNIT, RELAY_UNIT], ids=lambda file: file.stem
)
def test_what_is_started_is_a_command_with_options_there_are(file: Path) -> None:
    assert docs.unknown_words(started_by(file)) == []


def test_the_unit_waits_longer_than_the_drain() -> None:
    wait = seconds_of(unit()["Service"]["TimeoutStopSec"])
    assert wait is not None
    assert wait >= drain_seconds(started_by().split()[1:]) + 10


def test_each_site_has_a_state_folder_of_its_own() -> None:
    # root's own is the folder above: it stays root's.
    assert unit()["Service"]["StateDirectory"] == "wpbridge/%i"
    assert unit()["Service"]["StateDirectoryMode"] == "0700"


def test_the_unit_says_how_the_daemon_is_to_be_treated() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"
    assert "78" in service["RestartPreventExitStatus"].split()
    assert "143" in service["SuccessExitStatus"].split()
    assert (seconds_of(service["WatchdogSec"]) or 0) >= 30


def test_the_unit_for_many_sites_says_the_same_and_keeps_their_state() -> None:
    service, command = unit(SITES_UNIT)["Service"], started_by(SITES_UNIT)
    for name in ("Type", "KillMode", "RestartPreventExitStatus", "SuccessExitStatus"):
        assert service[name] == unit()["Service"][name]
    assert (seconds_of(service["TimeoutStopSec"]) or 0) >= drain_seconds(command.split()[1:]) + 10
    place = sites_state.state_file(Settings(), {})
    if os.geteuid() == 0:
        assert str(place) == f"/run/{service['RuntimeDirectory']}/{place.name}"
    # PHP's mail() starts programs that are setgid.
    assert "NoNewPrivileges" not in service


def test_the_watcher_is_given_the_time_that_a_look_takes_and_started_again() -> None:
    service = unit(WATCH_UNIT)["Service"]
    assert (seconds_of(service["TimeoutStopSec"]) or 0) >= 2 * RUNNER_ANSWER_SECONDS
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2 78")


@pytest.mark.parametrize(
    "file",
    [UNIT, SITES_UNIT, GATEWAY_UNIT, WATCH_UNIT, RELAY_UNIT, CELERY_UNIT],
    ids=lambda file: file.stem,
)
def test_systemd_takes_the_unit(file: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = re.sub(r"/opt/wpbridge/bin/(?:wpbridge|celery)", "/bin/true", file.read_text("utf-8"))
    (tmp_path / file.name).write_text(text.replace("/srv/%i", str(tmp_path)), "utf-8")
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / file.name.replace("@", "@shop"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    about_us = [line for line in done.stderr.splitlines() if "wpbridge" in line]
    assert about_us == [], done.stderr


# The hand-over to Celery

BROKERS = {"redis": "redis://", "rabbitmq": "amqp://"}
"""Each has a compose file; and how its address begins."""
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def with_broker(name: str) -> dict[str, Any]:
    text = (DEPLOY / "docker" / f"celery-{name}.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def image_extras(build: Mapping[str, Any] | None = None) -> set[str]:
    """The extras of wpbridge in an image."""
    [default] = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    return set((build or {}).get("args", {}).get("EXTRAS", default).split(","))


def test_the_extras_of_images_are_there() -> None:
    there = set(PYPROJECT["project"]["optional-dependencies"])
    # What the logins of MySQL 8 and MariaDB, alerts, metrics and the gateway need.
    assert {"sha2", "ed25519", "alerts", "metrics", "web"} <= image_extras() <= there
    for name in BROKERS:
        build = with_broker(name)["services"]["worker"]["build"]
        assert image_extras(build) == image_extras() | {"celery"} <= there


def unknown_to_celery(words: Sequence[str]) -> list[str]:
    """What a command line of Celery's names that is not there."""
    pytest.importorskip("celery", reason="celery is not installed (pip install 'wpbridge[celery]')")
    root, application, name = words[:2], words[2], words[3]
    assert root == ["celery", "-A"]
    assert application == "wpbridge.celery_app"
    assert (ROOT / "wpbridge" / "celery_app" / "__init__.py").exists()
    commands = import_module("celery.bin.celery").celery.commands
    known = {word for one in commands[name].params for word in (*one.opts, *one.secondary_opts)}
    return [word for word in words[4:] if word.startswith("-") and word not in known]


@pytest.mark.parametrize("name", BROKERS)
def test_relay_and_workers_of_a_compose_file_can_start(name: str) -> None:
    services = with_broker(name)["services"]
    assert set(services) == {name, "relay", "worker"}
    relay, worker = services["relay"], services["worker"]
    assert docs.unknown_words(" ".join(["wpbridge", *relay["command"]])) == []
    assert unknown_to_celery([*worker["entrypoint"][2:], *worker["command"]]) == []
    assert worker["entrypoint"][:2] == ["tini", "--"]
    for one in (relay, worker):
        # What compose puts in.
        env = {
            key: re.sub(
                r"\$\{(\w+)[^}]*\}", "mysql://u:p@db/w" if "DSN" in key else "s3cret", value
            )
            for key, value in one["environment"].items()
        }
        settings = load({}, env, Path("/"))
        assert settings.log_format == "json"
        assert settings.handlers == ("hooks",)
        assert settings.celery_broker is not None
        address = urlsplit(settings.celery_broker)
        assert settings.celery_broker.startswith(BROKERS[name])
        assert (address.hostname, address.password) == (name, "s3cret")
        assert one["restart"] == "unless-stopped"
        assert "init" not in one, "the image has an init of its own"
        assert one["depends_on"] == {name: {"condition": "service_healthy"}}
    # Longer than it takes to write what has ended.
    assert (seconds_of(worker["stop_grace_period"]) or 0) >= STOP_SECONDS + 60
    assert (seconds_of(relay["stop_grace_period"]) or 0) >= 30
    assert worker["deploy"]["replicas"] == 2
    check = worker["healthcheck"]["test"]
    assert check[0] == "CMD-SHELL"
    assert unknown_to_celery(check[1].split()) == []


@pytest.mark.parametrize("name", BROKERS)
def test_a_broker_keeps_its_messages_and_is_reached_by_nobody_else(name: str) -> None:
    file = with_broker(name)
    broker = file["services"][name]
    assert "ports" not in broker
    assert broker["networks"] == ["broker"]
    assert file["networks"]["broker"] == {"internal": True}
    [volume] = broker["volumes"]
    assert volume.split(":")[0] in file["volumes"]
    assert broker["restart"] == "unless-stopped"
    assert broker["healthcheck"]["test"]
    assert (seconds_of(broker["stop_grace_period"]) or 0) >= 30
    assert ":?" in (DEPLOY / "docker" / f"celery-{name}.yaml").read_text("utf-8")
    if name == "rabbitmq":
        # Its folder is named after its node.
        assert broker["hostname"]


def test_redis_is_told_to_keep_everything_and_takes_its_options(tmp_path: Path) -> None:
    words = with_broker("redis")["services"]["redis"]["command"]
    told = dict(zip(words[1::2], words[2::2], strict=True))
    assert (told["--appendonly"], told["--appendfsync"]) == ("yes", "always")
    assert told["--maxmemory-policy"] == "noeviction"
    assert told["--requirepass"].startswith("${BROKER_PASSWORD:?")
    server = shutil.which(words[0])
    if server is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    done = subprocess.run(
        # It reads its options first, and then cannot listen.
        [server, *words[1:], "--dir", str(tmp_path), "--bind", "192.0.2.1", "--port", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "FATAL CONFIG FILE ERROR" not in done.stdout + done.stderr
    assert "192.0.2.1" in done.stdout + done.stderr


def test_units_of_the_hand_over_say_how_they_are_to_be_treated() -> None:
    relay, worker = unit(RELAY_UNIT)["Service"], unit(CELERY_UNIT)["Service"]
    # % is doubled for Celery's own.
    start = started_by(CELERY_UNIT)
    assert unknown_to_celery(start.replace("%%", "%").split()) == []
    assert "--hostname %i@%%h" in start
    daemon = unit()["Service"]
    for one in (relay, worker):
        assert (one["User"], one["KillMode"], one["Restart"]) == ("www-data", "mixed", "always")
        assert "78" in one["RestartPreventExitStatus"].split()
        assert "143" in one["SuccessExitStatus"].split()
        hardened = {key: daemon[key] for key in daemon if key.startswith(("NoNew", "P"))}
        assert {key: one.get(key) for key in hardened} == hardened
        for key in ("WorkingDirectory", "EnvironmentFile"):
            assert one[key] == daemon[key]
    assert (seconds_of(worker["TimeoutStopSec"]) or 0) >= STOP_SECONDS + 60
    assert (seconds_of(relay["TimeoutStopSec"]) or 0) >= 30


@pytest.mark.parametrize("who", ["relay", "worker"])
def test_policies_allow_single_calls_for_one_queue(who: str) -> None:
    policy = json.loads((DEPLOY / "aws" / f"iam-policy-sqs-{who}.json").read_text("utf-8"))
    assert policy["Version"] == "2012-10-17"
    [statement] = policy["Statement"]
    assert statement["Effect"] == "Allow"
    assert re.fullmatch(r"arn:aws:sqs:[a-z0-9-]+:\d{12}:[\w-]+", statement["Resource"])
    # tests/integration/test_celery_sqs.py: these are what is called.
    assert all(re.fullmatch(r"sqs:[A-Z]\w+", one) for one in statement["Action"])
    assert statement["Action"] == sorted(statement["Action"])


# The gateway, and the proxies before it

NGINX = (DEPLOY / "nginx" / "gateway.conf").read_text("utf-8")
CADDY = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")


def directive(name: str) -> str:
    [told] = re.findall(rf"^ *{name} ([^;]+);$", NGINX, re.MULTILINE)
    return str(told)


def test_the_gateway_may_answer_what_runs_before_it_is_killed() -> None:
    wait = seconds_of(unit(GATEWAY_UNIT)["Service"]["TimeoutStopSec"])
    # The supervisor of several processes waits for as long as a daemon drains.
    assert (wait or 0) >= max(drain_seconds(["serve"]), drain_seconds(["work"])) + 10


def test_its_unit_says_how_it_is_to_be_treated() -> None:
    service = unit(GATEWAY_UNIT)["Service"]
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    assert "78" in service["RestartPreventExitStatus"].split()
    # Each unit's folder goes away with it.
    assert service["RuntimeDirectory"] != unit()["Service"]["RuntimeDirectory"]


def test_proxies_reach_the_units_socket_and_cut_nothing_off() -> None:
    command = started_by(GATEWAY_UNIT).replace("%i", "shop").split()
    path, base = command[command.index("--listen") + 1], command[command.index("--base-path") + 1]
    place = path.removeprefix("unix:")
    assert directive("server") == path
    assert f"reverse_proxy unix/{place} {{" in CADDY
    assert f"location {base}/ {{" in NGINX
    assert f"handle {base}/* {{" in CADDY
    # Nothing after the name: a path there would change the path of the request.
    assert re.search(
        rf"upstream {re.escape(directive('proxy_pass').removeprefix('http://'))} {{", NGINX
    )
    assert size(directive("client_max_body_size")) >= MOST_BATCH_BYTES
    [most] = re.findall(r"max_size (\S+)", CADDY)
    assert size(most.removesuffix("iB")) >= MOST_BATCH_BYTES
    assert (seconds_of(directive("proxy_read_timeout")) or 0) > LONGEST_WAIT_SECONDS + 10
    assert (seconds_of(directive("proxy_read_timeout")) or 0) > ALIVE_SECONDS * 2
    for text in (NGINX, CADDY):
        assert text.count("{") == text.count("}")


def size(told: str) -> int:
    return int(told[:-1]) << {"k": 10, "m": 20}[told[-1].lower()]


# Those who have only the package


def deploy(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["deploy", *arguments])
    return done.exit_code, done.output


def test_the_package_shows_and_writes_its_files(tmp_path: Path) -> None:
    names = sorted(str(file.relative_to(DEPLOY)) for file in DEPLOY.rglob("*") if file.is_file())
    assert deploy("list") == (0, "".join(f"{name}\n" for name in names))
    for name in names:
        assert deploy("show", name) == (0, (DEPLOY / name).read_text("utf-8"))
    folder = tmp_path / "new" / "place"
    assert deploy("write", str(folder))[0] == 0
    assert sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()) == names
    (folder / names[0]).write_text("changed")
    code, told = deploy("write", str(folder))
    assert (code, names[0] in told) == (2, True)
    assert (folder / names[0]).read_text() == "changed"


def test_a_name_that_is_none_of_them_leads_nowhere() -> None:
    for name in ("../cli/main.py", "kubernetes", "/etc/passwd", "x"):
        code, told = deploy("show", name)
        assert (code, told.startswith(f"wpbridge: there is no file {name}; there are ")) == (
            2,
            True,
        )


def test_the_image_is_built_of_the_package_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line[1:] for line in rules if line.startswith("!")}
    built_of = {"wpbridge", "pyproject.toml", "README.md", "LICENSE"}
    built_of |= {"hatch_build.py", "scripts/assets.py"}
    assert built_of <= let_in <= {*built_of, "CHANGELOG.md"}
