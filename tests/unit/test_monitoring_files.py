"""The files for Prometheus and Grafana in wpbridge/deploy: what they name is there."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT
from wpbridge.monitor.endpoint import DEFAULT_LISTEN, PATH

DEPLOY = ROOT / "wpbridge" / "deploy"
FILE = DEPLOY / "docker" / "monitoring.yaml"
COMPOSE = yaml.safe_load(FILE.read_text("utf-8"))
PROVISIONING = DEPLOY / "grafana" / "provisioning"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yaml"


def service(name: str) -> dict[str, Any]:
    return dict(COMPOSE["services"][name])


def mounts(name: str) -> dict[Path, Path]:
    """By the place in the container, the file or folder here; for those that are no volumes."""
    found = [one.split(":") for one in service(name)["volumes"]]
    assert all(one[2:] == ["ro"] for one in found if one[0].startswith("."))
    return {Path(one[1]): (FILE.parent / one[0]).resolve() for one in found if "/" in one[0]}


def here(name: str, place: Path) -> Path:
    """The file here that a container has at a place."""
    [found] = [
        file / place.relative_to(mount)
        for mount, file in mounts(name).items()
        if place.is_relative_to(mount)
    ]
    return found


def flags(name: str) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in service(name)["command"])


def provisioned(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROVISIONING / name).read_text("utf-8")))


def test_what_is_mounted_is_there() -> None:
    volumes = {one.split(":")[0] for n in COMPOSE["services"] for one in service(n)["volumes"]}
    assert {one for one in volumes if "/" not in one} == set(COMPOSE["volumes"])
    for name in COMPOSE["services"]:
        assert all(file.is_dir() for file in mounts(name).values())
    assert here("prometheus", Path(flags("prometheus")["config.file"])) == PROMETHEUS
    for folder in ("datasources", "dashboards"):
        place = Path("/etc/grafana/provisioning") / folder
        assert here("grafana", place) == PROVISIONING / folder


def test_grafana_finds_the_boards_and_prometheus() -> None:
    [provider] = provisioned("dashboards/wpbridge.yaml")["providers"]
    boards = here("grafana", Path(provider["options"]["path"]))
    assert [*boards.glob("*.json")]
    home = service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert here("grafana", Path(home)).is_file()
    [source] = provisioned("datasources/prometheus.yaml")["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == f"http://{flags('prometheus')['web.listen-address']}"
    settings = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
    assert source["jsonData"]["timeInterval"] == settings["global"]["scrape_interval"]


def test_nothing_is_reached_from_elsewhere_and_no_password_is_told() -> None:
    environment = service("grafana")["environment"]
    for host in (
        environment["GF_SERVER_HTTP_ADDR"],
        flags("prometheus")["web.listen-address"].rpartition(":")[0],
    ):
        assert ipaddress.ip_address(host).is_loopback
    for name in COMPOSE["services"]:
        # A published port would not count: they have the host's network.
        assert service(name)["network_mode"] == "host"
        assert "ports" not in service(name)
    secrets = {key: value for key, value in environment.items() if "PASSWORD" in key}
    assert secrets
    assert all(re.fullmatch(r"\$\{\w+:\?[\w ]+\}", value) for value in secrets.values())


def test_images_have_a_version() -> None:
    for name in COMPOSE["services"]:
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", service(name)["image"])


def test_prometheus_looks_where_a_daemon_tells() -> None:
    settings = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
    jobs = {job["job_name"]: job for job in settings["scrape_configs"]}
    assert jobs["wpbridge"]["static_configs"] == [{"targets": [DEFAULT_LISTEN]}]
    assert jobs["wpbridge"].get("metrics_path", "/metrics") == PATH
