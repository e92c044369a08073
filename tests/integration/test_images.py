"""The image: a container engine builds it, and runs it as its user, with a read-only root.

What Docker pulls is made by debootstrap here; see ``containers.py``.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from contained import SOCKET, add, completed, handlers_in, socket_of, within
from containers import Container, Podman, container
from daemons import until
from deployed import DOCKERFILE, ROOT
from rows import column
from wpbridge import __version__
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.main import cli
from wpbridge.site.config import load
from wpbridge.store.running.runner_store import RunnerStore

pytestmark = pytest.mark.timeout(1800)
"""The first one on a machine makes the base of all images."""

COMPOSE = yaml.safe_load((DOCKERFILE.parent / "compose.yaml").read_text("utf-8"))
TMP, SEEN, GATE = "/tmp", "/tmp/seen.json", "/tmp/gate"  # noqa: S108 - within a container
AS_DOCS_SAY = (
    *("--read-only", "--tmpfs", TMP, "--tmpfs", "/run/wpbridge"),
    *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
)
LIKE_DOCKER = ("--read-only-tmpfs=false", "--network", "none")
"""Podman would mount more into a read-only root than Docker does."""


@pytest.fixture
def handlers(tmp_path: Path) -> Path:
    return handlers_in(tmp_path)


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def daemon(
    podman: Podman, image: str, mysql_dsn: str, handlers: Path, store: RunnerStore
) -> Iterator[Container]:
    """A daemon over MariaDB, in a container whose root is read-only."""
    del store
    with container(
        podman,
        image,
        "work",
        "--handlers",
        "hooks",
        options=[*AS_DOCS_SAY, *LIKE_DOCKER, "--volume", "/var/lib/wpbridge"],
        env={"WPBRIDGE_DSN": within(mysql_dsn)},
        mounts={"/app:ro": handlers, SOCKET: socket_of(mysql_dsn)},
    ) as it:
        yield it


def test_the_image_says_what_it_is_and_starts_as_nobody_special(podman: Podman, image: str) -> None:
    [told] = json.loads(podman.told("image", "inspect", image))
    config = told["Config"]
    assert config["User"] == "1000:1000"
    # The exec form: no shell stands between an engine's TERM and the daemon.
    assert (config["Entrypoint"], config["Cmd"]) == (["tini", "--", "wpbridge"], ["work"])
    assert config["Labels"]["org.opencontainers.image.title"] == "wpbridge"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    env = dict(one.split("=", 1) for one in config["Env"])
    assert load({}, env, Path("/")).heartbeat_file == Path("/run/wpbridge/heartbeat")
    with container(podman, image, "--version", options=LIKE_DOCKER) as it:
        assert it.code() == 0
        assert it.said() == f"wpbridge, version {__version__}\n"


def test_the_daemon_runs_in_a_read_only_root(daemon: Container, store: RunnerStore) -> None:
    completed(store, "look")
    seen = json.loads(daemon.told("cat", SEEN))
    assert seen == {
        "user": [1000, 1000],
        "rights": ["CapEff:\t0000000000000000"],
        "encoding": ["utf-8", "UTF-8"],
        "zone": "2:00:00",
        "own_zone": "UTC",
        "process_1": "tini",
    }
    for folder in ("/home/wpbridge", "/opt/wpbridge", "/app", "/etc"):
        assert "Read-only file system" in daemon.run("touch", f"{folder}/x").stderr
    # All that it writes lies in its three places; the last one is for migrations alone.
    asked = ("find", TMP, "/run/wpbridge", "/var/lib/wpbridge", "-type", "f")
    assert daemon.told(*asked).split() == [SEEN, "/run/wpbridge/heartbeat"]


def test_a_daemon_that_is_ready_is_healthy_and_nothing_else_is(
    podman: Podman, image: str, daemon: Container
) -> None:
    daemon.logged("daemon.ready")
    until(daemon.is_healthy, daemon.said)
    with container(podman, image, "600", options=[*LIKE_DOCKER, "--entrypoint", "sleep"]) as idle:
        assert not idle.is_healthy()


def test_what_handlers_leave_behind_is_reaped(daemon: Container, store: RunnerStore) -> None:
    completed(store, "leave_a_child")
    processes = 'for status in /proc/[0-9]*/status; do sed -n "s/^State://p" "$status"; done'
    until(lambda: "Z" not in daemon.told("sh", "-c", processes), daemon.said)


def test_term_lets_what_runs_end(daemon: Container, store: RunnerStore) -> None:
    daemon.told("mkfifo", GATE)
    action_id = add(store, "wait_at_the_gate")
    until(lambda: column(store, "status", action_id) == "in-progress", daemon.said)
    daemon.tell_to_stop()
    daemon.logged("daemon.stopping")
    daemon.told("sh", "-c", "echo open > /tmp/gate")
    assert daemon.code() == Exit.TERMINATED
    assert column(store, "status", action_id) == "complete"


def test_nothing_is_written_into_a_root_that_can_be_written_to(
    podman: Podman, image: str, mysql_dsn: str, handlers: Path, store: RunnerStore
) -> None:
    with container(
        podman,
        image,
        *("work", "--handlers", "hooks"),
        options=["--user", "0:0", *LIKE_DOCKER[1:], "--volume", "/var/lib/wpbridge"],
        env={"WPBRIDGE_DSN": within(mysql_dsn), "WPBRIDGE_TRUST": "1"},
        mounts={"/app": handlers, SOCKET: socket_of(mysql_dsn)},
    ) as it:
        completed(store, "look")
        it.logged("daemon.ready")
        it.told("wpbridge", "check")
        it.tell_to_stop()
        assert it.code() == Exit.TERMINATED
        # What the engine makes where it mounts something, and the folders above that.
        engine = {"/app", "/etc", "/run", "/var", "/var/lib", "/run/mysqld", SOCKET}
        changed = {line.partition(" ")[2] for line in it.changed()} - engine
    assert SEEN in changed
    assert not [one for one in changed if not f"{one}/".startswith(("/tmp/", "/run/wpbridge/"))]  # noqa: S108
    assert [file.name for file in handlers.rglob("*")] == ["hooks.py"]


def test_the_gateway_answers_and_ends_in_order(
    podman: Podman, image: str, mysql_dsn: str, store: RunnerStore
) -> None:
    del store
    with container(
        podman,
        image,
        *("serve", "--listen", "0.0.0.0:8787"),
        options=[*AS_DOCS_SAY, *LIKE_DOCKER],
        env={"WPBRIDGE_DSN": within(mysql_dsn)},
        mounts={SOCKET: socket_of(mysql_dsn)},
    ) as it:
        it.logged("listening on")
        check = COMPOSE["services"]["gateway"]["healthcheck"]["test"]
        assert check[0] == "CMD"
        it.told(*check[1:])
        it.tell_to_stop()
        assert it.code() == Exit.OK


@pytest.mark.long
def test_an_image_of_the_written_files_has_the_published_package(
    podman: Podman, tmp_path: Path
) -> None:
    wheels, folder = tmp_path / "wheels", tmp_path / "deployment"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(wheels)], cwd=ROOT, check=True, capture_output=True)
    assert CliRunner().invoke(cli, ["deploy", "write", str(folder)]).exit_code == 0
    # Nothing of the folder goes into the image, so a secret in it stays out.
    (folder / "docker" / "pyproject.toml").write_text("a file of somebody's", "utf-8")
    file = folder / "docker" / "Dockerfile"
    image = podman.build(file, file.parent, wheels=wheels)
    with container(podman, image, "--version", options=LIKE_DOCKER) as it:
        assert it.code() == 0
        assert it.said() == f"wpbridge, version {__version__}\n"
    found = podman.told("run", "--rm", *LIKE_DOCKER, "--entrypoint", "pip", image, "list")
    assert re.search(rf"^wpbridge +{re.escape(__version__)}$", found, re.MULTILINE)
