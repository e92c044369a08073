"""The manifests in wpbridge/deploy/kubernetes, as kustomize puts them together.

``tests/integration/test_pods.py`` starts their pods.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import (
    DEPLOY,
    drain_seconds,
    image_env,
    image_user,
    port_of,
    settings_of,
    unknown_in,
)
from kustomize import Resource, render, rendered_by_kubectl
from wpbridge.cli.work import work
from wpbridge.site.config import load
from wpbridge.site.moments import seconds_of
from wpbridge.web.routes import ROUTES

FOLDER = DEPLOY / "kubernetes"
KINDS = {
    one.parent.name: yaml.safe_load(one.read_text("utf-8"))["kind"]
    for one in FOLDER.glob("*/kustomization.yaml")
}
WHOLE = sorted(name for name, kind in KINDS.items() if kind == "Kustomization")
COMPONENTS = sorted(name for name, kind in KINDS.items() if kind == "Component")
OF_KEDA = {"ScaledObject", "TriggerAuthentication"}
KUBERNETES_VERSION = "1.30"


def with_components(tmp_path: Path, *names: str) -> list[Resource]:
    """What the daemon is with components put upon it."""
    folder = tmp_path / "kubernetes"
    folder.mkdir()
    for one in FOLDER.iterdir():
        (folder / one.name).symlink_to(one)
    (folder / "mine").mkdir()
    told = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../base", "../gateway"],
        "components": [f"../{name}" for name in names],
    }
    (folder / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(told), "utf-8")
    return render(folder / "mine")


def named(resources: list[Resource], kind: str, name: str = "wpbridge") -> Resource:
    [found] = [one for one in resources if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def pods(value: Any) -> Iterator[Resource]:
    """Every pod's specification, at whatever depth."""
    for one in value.values() if isinstance(value, dict) else ():
        if isinstance(one, dict) and "containers" in one:
            yield one
        yield from pods(one)


EVERYTHING = [
    pytest.param(resource, id=f"{name}-{resource['kind']}-{resource['metadata']['name']}")
    for name in WHOLE
    for resource in render(FOLDER / name)
]
PODS = [
    pytest.param(pod, id=f"{name}-{resource['metadata']['name']}")
    for name in WHOLE
    for resource in render(FOLDER / name)
    for pod in pods(resource)
]


def test_every_folder_is_a_kustomization_and_every_file_is_in_one() -> None:
    assert set(KINDS) == {one.name for one in FOLDER.iterdir()}
    assert (WHOLE, COMPONENTS) == (["base", "cron", "example", "gateway"], ["hpa", "keda", "php"])
    for name in KINDS:
        told = yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text("utf-8"))
        used = {*told.get("resources", ())} | {one.get("path") for one in told.get("patches", ())}
        files = {one.name for one in (FOLDER / name).iterdir()} - {"kustomization.yaml"}
        assert files == {one for one in used if one and not one.startswith("..")}


@pytest.mark.parametrize("name", WHOLE)
def test_kubectl_puts_them_together_in_the_same_way(name: str) -> None:
    theirs = rendered_by_kubectl(FOLDER / name)
    if theirs is None:
        pytest.skip("there is no kubectl with a kustomize of version 5")

    def key(one: Resource) -> tuple[str, str]:
        return one["kind"], one["metadata"]["name"]

    assert sorted(render(FOLDER / name), key=key) == sorted(theirs, key=key)


@pytest.mark.parametrize("resource", EVERYTHING)
def test_a_resource_is_one_of_kubernetes(resource: Resource) -> None:
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    kubernetes = import_module("kubernetes_validate")
    if resource["kind"] in OF_KEDA:
        # tests/integration/test_kubernetes_scaling.py compares them with what the gateway offers.
        with pytest.raises(kubernetes.SchemaNotFoundError):
            kubernetes.validate(resource, KUBERNETES_VERSION, strict=True)
        return
    kubernetes.validate(resource, KUBERNETES_VERSION, strict=True)
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate({**resource, "spce": {}}, KUBERNETES_VERSION, strict=True)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_gives_resources_of_kubernetes(name: str, tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for resource in with_components(tmp_path, name):
        if resource["kind"] not in OF_KEDA:
            import_module("kubernetes_validate").validate(resource, KUBERNETES_VERSION, strict=True)


# The restricted level of the Pod Security Standards

VOLUMES = {"name", "emptyDir", "configMap", "secret", "projected", "persistentVolumeClaim"}
VOLUMES |= {"downwardAPI", "csi", "ephemeral"}


def offences(pod: Resource) -> list[str]:
    """What the restricted level forbids, of what a pod of ours might have."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    found += [name for one in pod.get("volumes", ()) for name in one if name not in VOLUMES]
    mine = pod.get("securityContext", {})
    for one in [*pod.get("initContainers", ()), *pod["containers"]]:
        own = one.get("securityContext", {})
        both = {**mine, **own}
        capabilities = own.get("capabilities", {})
        profile = both.get("seccompProfile", {}).get("type")
        kept = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities.drop": "ALL" in capabilities.get("drop", ()),
            "capabilities.add": {*capabilities.get("add", ())} <= {"NET_BIND_SERVICE"},
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") != 0,
            "seccompProfile": profile in {"RuntimeDefault", "Localhost"},
            "procMount": own.get("procMount", "Default") == "Default",
            "hostPort": not any(port.get("hostPort") for port in one.get("ports", ())),
        }
        found += [name for name, is_kept in kept.items() if not is_kept]
    return found


@pytest.mark.parametrize("pod", PODS)
def test_pods_pass_the_restricted_level(pod: Resource) -> None:
    assert offences(pod) == []
    assert pod["automountServiceAccountToken"] is False
    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in pod["containers"])


@pytest.mark.parametrize("key", ["runAsNonRoot", "seccompProfile"])
def test_the_rules_see_what_is_missing(key: str) -> None:
    [pod] = pods(named(render(FOLDER / "base"), "Deployment"))
    del pod["securityContext"][key]
    assert offences(pod) == [key]


# What the pods start


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_starts_what_there_is_and_waits_for_its_end(pod: Resource, tmp_path: Path) -> None:
    [container] = pod["containers"]
    assert "command" not in container, "the entrypoint of the image has an init"
    words = container["args"]
    assert unknown_in(words) == []
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert settings_of(env, tmp_path).log_format == "json"
    assert pod["terminationGracePeriodSeconds"] >= drain_seconds(words) + 10
    is_php = "--php" in words
    name = re.fullmatch(r"(?:.*/)?(wpbridge|wpbridge-php):(\S+)", container["image"])
    assert name is not None
    assert name[1] == ("wpbridge-php" if is_php else "wpbridge")
    user, group = map(int, image_user("php" if is_php else "").split(":"))
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (user, group)


@pytest.mark.parametrize("pod", PODS)
def test_what_a_pod_writes_to_is_mounted(pod: Resource) -> None:
    [container] = pod["containers"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == {one["name"] for one in pod["volumes"]}
    state = Path(image_env()["WPBRIDGE_STATE_DIR"])
    assert {"/tmp", str(state.parent)} <= set(mounts)  # noqa: S108 - a mount
    if container["args"][0] == "work":
        settings = load({}, image_env(), Path("/"))
        assert settings.heartbeat_file is not None
        assert str(settings.heartbeat_file.parent) in mounts
        told = {one["name"]: one.get("value") for one in container["env"]}
        assert told["WPBRIDGE_HEARTBEAT_FILE"] == str(settings.heartbeat_file)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_asked_in_a_way_that_it_answers(pod: Resource) -> None:
    [container] = pod["containers"]
    kinds = {key: one for key, one in container.items() if key.endswith("Probe")}
    words = container["args"]
    if words[0] == "work":
        asked = {key: one["exec"]["command"] for key, one in kinds.items()}
        live, ready = ["wpbridge", "probe", "live"], ["wpbridge", "probe", "ready"]
        # Live never asks the database: a restart would not bring it back.
        assert asked == {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}
    elif words[0] == "serve":
        [port] = container["ports"]
        assert str(port["containerPort"]) == port_of(words)
        assert {one["httpGet"]["port"] for one in kinds.values()} == {port["name"]}
        assert {one["httpGet"]["path"] for one in kinds.values()} <= {one.path for one in ROUTES}
    else:
        assert kinds == {}
    # A probe starts Python.
    assert all(one["timeoutSeconds"] >= 5 for one in kinds.values())


@pytest.mark.parametrize("name", WHOLE)
def test_names_lead_to_what_there_is(name: str) -> None:
    resources = render(FOLDER / name)
    for one in resources:
        if one["kind"] == "Deployment":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        elif one["kind"] == "Service":
            selected = named(resources, "Deployment", one["metadata"]["name"])
            labels = selected["spec"]["template"]["metadata"]["labels"]
            assert one["spec"]["selector"].items() <= labels.items()


def test_a_run_each_minute_ends_before_the_next_and_is_not_tried_twice() -> None:
    [job] = render(FOLDER / "cron")
    spec = job["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("* * * * *", "Forbid")
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    [pod] = pods(job)
    words = pod["containers"][0]["args"]
    assert words[0] == "claim-and-run"
    assert (seconds_of(words[words.index("--max-time") + 1]) or 0) < 60
    assert spec["startingDeadlineSeconds"] < 60


@pytest.mark.parametrize("name", ["hpa", "keda"])
def test_who_chooses_the_number_of_pods_is_the_only_one(name: str, tmp_path: Path) -> None:
    assert named(render(FOLDER / "base"), "Deployment")["spec"]["replicas"] == 2
    assert "replicas" not in named(with_components(tmp_path, name), "Deployment")["spec"]


def test_the_example_asks_for_as_many_places_as_its_pods_have() -> None:
    resources = render(FOLDER / "example")
    [container] = [one for pod in pods(named(resources, "Deployment")) for one in pod["containers"]]
    given = work.make_context("work", container["args"][1:], resilient_parsing=True).params
    known = {key: given[key] for key in ("processes", "concurrency", "php_workers")}
    settings = load({**known, "php": True}, {}, Path("/"))
    places = settings.processes.most * (settings.concurrency.most + given["php_workers"])
    scaled = named(resources, "ScaledObject")
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["metadata"]["targetValue"] == str(places)
    service = named(resources, "Service", "wpbridge-gateway")["metadata"]
    assert f"//{service['name']}.{service['namespace']}.svc:" in trigger["metadata"]["url"]


def test_workers_have_room_below_the_limit_of_their_pod(tmp_path: Path) -> None:
    for resources in (render(FOLDER / "base"), with_components(tmp_path, "php")):
        [pod] = pods(named(resources, "Deployment"))
        [container] = pod["containers"]
        env = {one["name"]: one.get("value", "") for one in container["env"]}
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
        need = int(env["WPBRIDGE_MAX_MEMORY"].removesuffix("M"))
        if "--php" in container["args"]:
            # The default of --php-max-memory for each.
            need += 512 * int(container["args"][container["args"].index("--php-workers") + 1])
        assert limit >= need + 200
