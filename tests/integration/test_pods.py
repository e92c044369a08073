"""The pods of the manifests: podman starts them, as far as it knows Kubernetes.

Podman keeps to images, commands, variables, secrets, probes that run a command, security contexts and
volumes. It knows no number of pods, no rollout and no service.
"""

import base64
import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from contained import SOCKET, add, completed, handlers_in, socket_of, within
from containers import Container, Podman
from daemons import until
from deployed import DEPLOY
from kustomize import Resource, render
from rows import column
from wpbridge.cli.exit_codes import Exit
from wpbridge.store.running.runner_store import RunnerStore

pytestmark = pytest.mark.timeout(1800)
"""The first one on a machine makes the base of all images."""


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def with_handlers(podman: Podman, image: str, tmp_path: Path) -> str:
    """An image upon ours, which holds the handlers, too."""
    handlers = handlers_in(tmp_path)
    (handlers / "Dockerfile").write_text(f"FROM {image}\nCOPY hooks.py /app/\n", "utf-8")
    return podman.build(handlers / "Dockerfile", handlers)


@contextmanager
def pod_of(
    podman: Podman, resource: Resource, image: str, dsn: str, folder: Path
) -> Iterator[Container]:
    """The pod of a resource, with an image and a database that are there."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    pod = copy.deepcopy(resource["spec"]["template"]["spec"])
    [container] = pod["containers"]
    container["image"] = image
    # A pod that has only a loopback interface has no ports.
    container.pop("ports", None)
    # Podman keeps volumes and secrets by their names, for all pods.
    rename(pod, mark)
    container["volumeMounts"].append({"name": "socket", "mountPath": SOCKET})
    pod["volumes"].append({"name": "socket", "hostPath": {"path": str(socket_of(dsn))}})
    metadata = {"name": f"wpbridge-test-{mark}"}
    told = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod}
    (folder / "pod.yaml").write_text(yaml.safe_dump(told), "utf-8")
    value = base64.b64encode(within(dsn).encode()).decode()
    podman.told("secret", "create", f"wpbridge-{mark}", "-", text=json.dumps({"dsn": value}))
    try:
        podman.told("kube", "play", "--network", "none", str(folder / "pod.yaml"))
        yield Container(podman, f"{metadata['name']}-{container['name']}")
    finally:
        podman.run("pod", "rm", "--force", "--time", "0", metadata["name"])
        podman.run("volume", "rm", *(f"{name}-{mark}" for name in ("run", "tmp", "state")))
        podman.run("secret", "rm", f"wpbridge-{mark}")


def rename(pod: Resource, mark: str) -> None:
    """Give the volumes of a pod, and the secrets that it reads, names of their own."""
    [container] = pod["containers"]
    for one in (*pod["volumes"], *container["volumeMounts"]):
        one["name"] += f"-{mark}"
    for one in container["env"]:
        if "valueFrom" in one:
            one["valueFrom"]["secretKeyRef"]["name"] += f"-{mark}"


def deployment(folder: str) -> dict[str, Any]:
    found = render(DEPLOY / "kubernetes" / folder)
    [one] = [resource for resource in found if resource["kind"] == "Deployment"]
    return one


def test_the_daemons_pod_runs_actions_and_lets_them_end(
    podman: Podman, with_handlers: str, mysql_dsn: str, tmp_path: Path, store: RunnerStore
) -> None:
    with pod_of(podman, deployment("base"), with_handlers, mysql_dsn, tmp_path) as pod:
        completed(store, "look")
        # Podman's health is what the liveness probe says.
        until(pod.is_healthy, pod.said, pause=0.2)
        assert pod.inspect(".HostConfig.ReadonlyRootfs") == "true"
        assert pod.told("id", "-u") == "1000"
        assert "0000000000000000" in pod.told("grep", "CapEff", "/proc/1/status")
        for kind in ("startupProbe", "readinessProbe"):
            [container] = deployment("base")["spec"]["template"]["spec"]["containers"]
            until(lambda: pod.run(*container[kind]["exec"]["command"]).returncode == 0, pod.said)  # noqa: B023
        pod.told("mkfifo", "/tmp/gate")  # noqa: S108 - within a container
        action_id = add(store, "wait_at_the_gate")
        until(lambda: column(store, "status", action_id) == "in-progress", pod.said)
        # Podman starts anew what ends in a pod.
        pod.tell_to_stop()
        pod.logged("daemon.stopping")
        pod.told("sh", "-c", "echo open > /tmp/gate")
        until(lambda: column(store, "status", action_id) == "complete", pod.said)
        pod.logged(f'"code": {Exit.TERMINATED.value}')


def test_the_gateways_pod_answers_its_probes(
    podman: Podman, image: str, mysql_dsn: str, tmp_path: Path, store: RunnerStore
) -> None:
    del store
    with pod_of(podman, deployment("gateway"), image, mysql_dsn, tmp_path) as pod:
        pod.logged("listening on")
        [container] = deployment("gateway")["spec"]["template"]["spec"]["containers"]
        [port] = container["ports"]
        for kind in ("livenessProbe", "readinessProbe"):
            place = f"http://127.0.0.1:{port['containerPort']}{container[kind]['httpGet']['path']}"
            asked = f"from urllib.request import urlopen; print(urlopen('{place}').status)"
            assert pod.told("python", "-c", asked) == "200"


def test_the_pod_of_a_run_each_minute_ends_with_0_and_runs_what_is_due(
    podman: Podman, with_handlers: str, mysql_dsn: str, tmp_path: Path, store: RunnerStore
) -> None:
    [job] = render(DEPLOY / "kubernetes" / "cron")
    ids = [add(store, "look") for _ in range(3)]
    with pod_of(podman, job["spec"]["jobTemplate"], with_handlers, mysql_dsn, tmp_path) as pod:
        assert pod.code() == Exit.OK, pod.said()
    assert [column(store, "status", one) for one in ids] == ["complete"] * 3
