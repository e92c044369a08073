"""docker/celery-redis.yaml: relay and workers of Celery, with Debian's Redis in place of the image."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from composed import Project, missing_compose
from conftest import ROOT, needs
from contained import SOCKET, completed, handlers_in, socket_of, within
from containers import Podman
from daemons import until
from deployed import DEPLOY, DOCKERFILE
from wpbridge.cli.exit_codes import Exit
from wpbridge.store.running.runner_store import RunnerStore

pytestmark = pytest.mark.timeout(1800)
"""The first one on a machine makes the base of all images."""
FILE = yaml.safe_load((DEPLOY / "docker" / "celery-redis.yaml").read_text("utf-8"))
REDIS = """FROM python:3.13-slim-trixie
RUN apt-get update && apt-get install -y --no-install-recommends redis-server
WORKDIR /data
"""


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def project(
    podman: Podman, tmp_path: Path, mysql_dsn: str, store: RunnerStore
) -> Iterator[Project]:
    del store
    needs(missing_compose())
    handlers = handlers_in(tmp_path)
    (handlers / "wpbridge.toml").write_text('[[routes]]\nhook = "look"\nto = "celery"\n', "utf-8")
    shutil.copy(DEPLOY / "docker" / "celery-redis.yaml", tmp_path)
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "Dockerfile").write_text(REDIS, "utf-8")
    redis = podman.build(tmp_path / "redis" / "Dockerfile", tmp_path / "redis")
    [extras] = {
        one["build"]["args"]["EXTRAS"] for one in FILE["services"].values() if "build" in one
    }
    image = podman.build(DOCKERFILE, ROOT, "--build-arg", f"EXTRAS={extras}")
    mounted = {"image": image, "volumes": [f"{socket_of(mysql_dsn)}:{SOCKET}"]}
    more = {"redis": {"image": redis}, "relay": mounted, "worker": mounted}
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({"services": more}), "utf-8")
    env = {"WPBRIDGE_DSN": within(mysql_dsn), "BROKER_PASSWORD": "s3cret"}
    it = Project(podman, tmp_path, "celery-redis.yaml", "here.yaml", env=env)
    try:
        it.compose("up", "--detach", "--no-build")
        yield it
    finally:
        it.compose("down", "--volumes")


@pytest.mark.long
def test_workers_run_what_the_relay_hands_over(project: Project, store: RunnerStore) -> None:
    redis, relay = project.service("redis"), project.service("relay")
    # podman-compose starts one, whatever the file's `replicas` says.
    worker = project.service("worker")
    until(redis.is_healthy, redis.said, pause=0.5)
    completed(store, "look")
    worker.told("test", "-e", "/tmp/seen.json")  # noqa: S108 - within the container
    until(worker.is_healthy, worker.said, pause=0.5)
    assert worker.told("cat", "/proc/1/comm") == "tini"
    project.compose("stop")
    assert (worker.code(), relay.code()) == (Exit.OK, Exit.TERMINATED)
