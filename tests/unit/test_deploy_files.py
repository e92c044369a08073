"""The files in wpbridge/deploy/: what they start is there, and the times in them fit each other."""

import configparser
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import assets
import docs
from wpbridge.cli.main import cli
from wpbridge.site import web_kinds
from wpbridge.site.config import Settings, load
from wpbridge.site.moments import seconds_of
from wpbridge.store.database.mysql_engine import RUNNER_ANSWER_SECONDS
from wpbridge.web.bodies import MOST_BATCH_BYTES
from wpbridge.web.events import ALIVE_SECONDS
from wpbridge.web.job_requests import LONGEST_WAIT_SECONDS
from wpbridge.web.serving import DRAIN_SECONDS

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "wpbridge" / "deploy"
UNIT = DEPLOY / "systemd" / "wpbridge@.service"
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text("utf-8"))
KUBERNETES = yaml.safe_load((DEPLOY / "kubernetes" / "wpbridge.yaml").read_text("utf-8"))
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")


GATEWAY_UNIT = DEPLOY / "systemd" / "wpbridge-serve@.service"
WATCH_UNIT = DEPLOY / "systemd" / "wpbridge-watch@.service"


def unit(file: Path = UNIT) -> configparser.ConfigParser:
    # Keys keep their case; % means an instance there, and nothing here.
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(file, "utf-8")
    return parser


def service() -> dict[str, Any]:
    return dict(COMPOSE["services"]["wpbridge"])


def gateway() -> dict[str, Any]:
    return dict(COMPOSE["services"]["gateway"])


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
    unit(GATEWAY_UNIT)["Service"]["ExecStart"].replace("/opt/wpbridge/bin/", ""),
    unit(WATCH_UNIT)["Service"]["ExecStart"].replace("/opt/wpbridge/bin/", ""),
    " ".join(["wpbridge", *gateway()["command"]]),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_started_is_a_command_with_options_there_are(command: str) -> None:
    assert docs.unknown_words(command) == []


def test_variables_are_settings() -> None:
    env = {
        **{
            name: "mysql://u:p@db/w" if "DSN" in name else str(value)
            for name, value in service()["environment"].items()
        },
        **{one["name"]: one.get("value", "mysql://u:p@db/w") for one in container()["env"]},
        **dict(re.findall(r"^ENV (\w+)=(.*)$", DOCKERFILE, re.MULTILINE)),
    }
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
    assert "-o wpbridge /run/wpbridge" in DOCKERFILE


def mounts_of(pod_container: dict[str, Any]) -> dict[Path, str]:
    return {Path(one["mountPath"]): one["name"] for one in pod_container["volumeMounts"]}


def test_there_is_a_state_folder_that_only_the_daemons_user_may_write() -> None:
    told = dict(re.findall(r"^ENV (\w+)=(.*)$", DOCKERFILE, re.MULTILINE))
    image = Path(told["WPBRIDGE_STATE_DIR"])
    assert f"-o wpbridge {image.parent}" in DOCKERFILE
    # A volume's own folder is everybody's in Kubernetes; wpbridge makes one of its own in it.
    assert image.parent in mounts_of(container())
    assert any(one.split(":")[1:] == [str(image.parent)] for one in service()["volumes"])
    assert set(COMPOSE["volumes"]) >= {
        one.split(":")[0] for one in service()["volumes"] if not one.startswith(".")
    }
    # One for each site. root's own is the folder above: it stays root's.
    assert unit()["Service"]["StateDirectory"] == "wpbridge/%i"
    assert unit()["Service"]["StateDirectoryMode"] == "0700"


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


def test_the_watcher_is_given_the_time_that_a_look_takes_and_started_again() -> None:
    service = unit(WATCH_UNIT)["Service"]
    assert (seconds_of(service["TimeoutStopSec"]) or 0) >= 2 * RUNNER_ANSWER_SECONDS
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("always", "2 78")


@pytest.mark.parametrize("file", [UNIT, GATEWAY_UNIT, WATCH_UNIT], ids=lambda file: file.stem)
def test_systemd_takes_the_unit(file: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = file.read_text("utf-8").replace("/opt/wpbridge/bin/wpbridge", "/bin/true")
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


# The gateway, and the proxies before it

NGINX = (DEPLOY / "nginx" / "gateway.conf").read_text("utf-8")
CADDY = (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8")


def directive(name: str) -> str:
    [told] = re.findall(rf"^ *{name} ([^;]+);$", NGINX, re.MULTILINE)
    return str(told)


def test_the_gateway_may_answer_what_runs_before_it_is_killed() -> None:
    for wait in (
        unit(GATEWAY_UNIT)["Service"]["TimeoutStopSec"],
        gateway()["stop_grace_period"],
    ):
        # The supervisor of several processes waits for as long as a daemon drains.
        assert (seconds_of(wait) or 0) >= max(DRAIN_SECONDS, drain_of("")) + 10


def test_its_unit_says_how_it_is_to_be_treated() -> None:
    service = unit(GATEWAY_UNIT)["Service"]
    assert (service["Type"], service["KillMode"]) == ("notify", "mixed")
    assert "78" in service["RestartPreventExitStatus"].split()
    # Each unit's folder goes away with it.
    assert service["RuntimeDirectory"] != unit()["Service"]["RuntimeDirectory"]


def test_its_container_is_reached_and_has_the_extra() -> None:
    command = gateway()["command"]
    # People look at the dashboard elsewhere: this address is for the programs of the network.
    assert "--no-ui" in command
    listen = web_kinds.Listen.of(command[command.index("--listen") + 1])
    assert (listen.is_loopback, [str(listen.port)]) == (False, gateway()["expose"])
    assert f":{listen.port}/livez" in gateway()["healthcheck"]["test"][-1]
    assert "[sha2,ed25519,alerts,metrics,web]" in DOCKERFILE
    variables = {
        name: "mysql://u:p@db/w" if "DSN" in name else str(value)
        for name, value in gateway()["environment"].items()
    }
    assert load({}, variables, Path("/")).log_format == "json"


def test_proxies_reach_the_units_socket_and_cut_nothing_off() -> None:
    command = unit(GATEWAY_UNIT)["Service"]["ExecStart"].replace("%i", "shop").split()
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


# Kubernetes: the restricted level of the Pod Security Standards


def pods(manifest: Any) -> Iterator[dict[str, Any]]:
    """Every pod's specification, at whatever depth."""
    for value in manifest.values() if isinstance(manifest, dict) else ():
        if isinstance(value, dict) and "containers" in value:
            yield value
        yield from pods(value)


def offences(pod: dict[str, Any]) -> list[str]:
    """What the restricted level forbids, of what a pod of ours might have."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    found += [
        name
        for volume in pod.get("volumes", ())
        for name in volume
        if name
        not in {
            "name",
            "emptyDir",
            "configMap",
            "secret",
            "projected",
            "persistentVolumeClaim",
            "downwardAPI",
            "csi",
            "ephemeral",
        }
    ]
    mine = pod.get("securityContext", {})
    for one in [*pod.get("initContainers", ()), *pod["containers"]]:
        own = one.get("securityContext", {})
        both = {**mine, **own}
        capabilities = own.get("capabilities", {})
        found += [
            name
            for name, is_kept in (
                ("privileged", not own.get("privileged")),
                ("allowPrivilegeEscalation", own.get("allowPrivilegeEscalation") is False),
                ("capabilities.drop", "ALL" in capabilities.get("drop", ())),
                ("capabilities.add", {*capabilities.get("add", ())} <= {"NET_BIND_SERVICE"}),
                ("runAsNonRoot", both.get("runAsNonRoot") is True),
                ("runAsUser", both.get("runAsUser") != 0),
                (
                    "seccompProfile",
                    both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
                ),
                ("procMount", own.get("procMount", "Default") == "Default"),
                ("hostPort", not any(port.get("hostPort") for port in one.get("ports", ()))),
            )
            if not is_kept
        ]
    return found


MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_pods_pass_the_restricted_level(file: Path) -> None:
    parts = list(yaml.safe_load_all(file.read_text("utf-8")))
    found = [pod for part in parts for pod in pods(part)]
    assert bool(found) == any(part["kind"] == "Deployment" for part in parts)
    for pod in found:
        assert offences(pod) == []
        assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in pod["containers"])


@pytest.mark.parametrize("key", ["runAsNonRoot", "seccompProfile"])
def test_the_rules_see_what_is_missing(key: str) -> None:
    [pod] = pods(yaml.safe_load((DEPLOY / "kubernetes" / "wpbridge.yaml").read_text("utf-8")))
    del pod["securityContext"][key]
    assert offences(pod) == [key]


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


def test_wheel_and_sdist_hold_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    wheel, sdist = (import_module(f"hatchling.builders.{name}") for name in ("wheel", "sdist"))
    [packed] = sdist.SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    with tarfile.open(packed) as archive:
        # Python before 3.11.4 has no filter; the archive is our own.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)  # noqa: S202 - the line above has the filter
    [unpacked] = tmp_path.glob("wpbridge-*/")
    sources = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    # What is built of an sdist needs no npm, and holds what is built of a checkout.
    held = []
    for root in (ROOT, unpacked):
        builder = wheel.WheelBuilder(str(root))
        [built] = builder.build(directory=str(tmp_path / root.name), versions=["standard"])
        with zipfile.ZipFile(built) as archive:
            held.append(set(archive.namelist()))
        monkeypatch.setattr(assets, "npm", lambda: None)
    wanted = {str(f.relative_to(ROOT)) for f in DEPLOY.rglob("*") if f.is_file()}
    assert len(wanted) >= 4
    wanted |= {str(assets.BUILT / name) for name in ("htmx.min.js", "htmx.LICENSE.txt")}
    wanted |= {str(assets.PAGES / "static" / name) for name in ("app.css",)}
    assert wanted <= held[0]
    assert held[0] == held[1]
    assert wanted <= sources
    # Neither what tests are made of nor the folder of npm is shipped.
    assert not [name for name in held[0] if name.startswith(str(assets.PAGES / "assets"))]
    assert not [name for name in sources if "node_modules" in name or name.startswith("tests")]


def test_the_image_is_built_of_the_package_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line[1:] for line in rules if line.startswith("!")}
    built_of = {"wpbridge", "pyproject.toml", "README.md", "LICENSE"}
    built_of |= {"hatch_build.py", "scripts/assets.py"}
    assert built_of <= let_in <= {*built_of, "CHANGELOG.md"}
