"""The compose files: podman-compose starts what they say, and nothing beside it.

Images that are pulled are not there, so only services of our own are started. The database is the
test's, on a socket: a second file mounts it.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from composed import Project, missing_compose
from conftest import needs
from contained import SOCKET, add, completed, handlers_in, socket_of, within
from containers import Podman
from daemons import until
from deployed import DEPLOY
from rows import column, query
from wpbridge.cli.exit_codes import Exit
from wpbridge.store.running.runner_store import RunnerStore

pytestmark = pytest.mark.timeout(1800)
"""The first one on a machine makes the base of all images."""


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def project(
    podman: Podman, image: str, tmp_path: Path, mysql_dsn: str, store: RunnerStore
) -> Iterator[Project]:
    """The services of compose.yaml, with handlers and settings where it says that they lie."""
    del store
    needs(missing_compose())
    handlers_in(tmp_path)
    shutil.copy(DEPLOY / "docker" / "compose.yaml", tmp_path)
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "wpbridge.toml").write_text(f'[site]\ndsn = "{within(mysql_dsn)}"\n', "utf-8")
    (secrets / "wpbridge.toml").chmod(0o644)
    mounted = {"image": image, "volumes": [f"{socket_of(mysql_dsn)}:{SOCKET}"]}
    more = {"services": {"wpbridge": mounted, "gateway": mounted}}
    (tmp_path / "socket.yaml").write_text(yaml.safe_dump(more), "utf-8")
    it = Project(podman, tmp_path, "compose.yaml", "socket.yaml")
    try:
        it.compose("up", "--detach", "--no-build")
        yield it
    finally:
        it.compose("down", "--volumes")


def test_daemon_and_gateway_run_as_the_file_says(project: Project, store: RunnerStore) -> None:
    daemon, gateway = project.service("wpbridge"), project.service("gateway")
    completed(store, "look")
    for one in (daemon, gateway):
        until(one.is_healthy, one.said, pause=0.2)
        assert one.inspect(".HostConfig.ReadonlyRootfs") == "true"
        assert "0000000000000000" in one.told("grep", "CapEff", "/proc/1/status")
        assert "Read-only file system" in one.run("touch", "/home/wpbridge/x").stderr
    # Other containers of the network reach the gateway by its name, and wake the daemon.
    asked = (
        "from urllib.request import urlopen; print(urlopen('http://gateway:8787/readyz').status)"
    )
    assert daemon.told("python", "-c", asked) == "200"
    address = daemon.told("sh", "-c", "hostname -i").split()[-1]
    told = query(store, "SELECT DISTINCT wake_address FROM wp_wpbridge_runners")
    assert {row[0] for row in told} - {""} == {f"udp:{address}:9555"}


def test_stop_lets_what_runs_end(project: Project, store: RunnerStore) -> None:
    daemon, gateway = project.service("wpbridge"), project.service("gateway")
    daemon.told("mkfifo", "/tmp/gate")  # noqa: S108 - within a container
    action_id = add(store, "wait_at_the_gate")
    until(lambda: column(store, "status", action_id) == "in-progress", daemon.said)
    gateway.logged("listening on")
    daemon.tell_to_stop()
    daemon.logged("daemon.stopping")
    daemon.told("sh", "-c", "echo open > /tmp/gate")
    project.compose("stop")
    assert (daemon.code(), gateway.code()) == (Exit.TERMINATED, Exit.OK)
    assert column(store, "status", action_id) == "complete"
