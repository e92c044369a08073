"""Scaling in Kubernetes: what the manifests say is what the command and the gateway offer.

A scaler that is none asks a real gateway as KEDA's metrics-api scaler does, by the manifest alone,
and computes the pods as the HPA does that KEDA makes.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

import docs
from gateway import Gateway, serving
from remembered import remember
from wpbridge.access.keys import Allowed
from wpbridge.cli.work import work
from wpbridge.clock import SystemClock
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings, load
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import METRICS
from wpbridge.web.routes import ROUTES

FOLDER = Path(__file__).parent.parent.parent / "wpbridge" / "deploy" / "kubernetes"


def part(file: str, kind: str) -> dict[str, Any]:
    [found] = [
        one for one in yaml.safe_load_all((FOLDER / file).read_text("utf-8")) if one["kind"] == kind
    ]
    return dict(found)


DEPLOYMENT = part("base/wpbridge.yaml", "Deployment")
SCALED = part("keda/keda.yaml", "ScaledObject")
AUTHENTICATION = part("keda/keda.yaml", "TriggerAuthentication")
HPA = part("hpa/hpa.yaml", "HorizontalPodAutoscaler")
ADAPTER = part("hpa/hpa.yaml", "ConfigMap")


def trigger() -> dict[str, Any]:
    [found] = SCALED["spec"]["triggers"]
    return dict(found)


def pod_settings(arguments: list[str]) -> Settings:
    """The settings of a pod that is started with these arguments."""
    command, *flags = arguments
    assert command == "work"
    given = work.make_context("work", list(flags), resilient_parsing=True).params
    known = {name: given[name] for name in ("processes", "concurrency", "drain_timeout")}
    return load(known, {}, Path("/"))


def container() -> dict[str, Any]:
    [found] = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
    return dict(found)


def places_of_a_pod() -> int:
    settings = pod_settings(container()["args"])
    assert not settings.php
    assert not settings.processes.is_open, "a pod that scales itself hides its need from KEDA"
    return settings.processes.most * settings.concurrency.most


class FakeKeda:
    """What KEDA and the HPA that it makes do, as far as our manifest asks for it."""

    def __init__(self, gateway: Gateway, secrets: dict[str, dict[str, str]]) -> None:
        self._gateway, self._secrets = gateway, secrets

    def metric(self) -> float:
        """Ask for the metric; an error of HTTP is one of the scaler."""
        one = trigger()
        assert one["type"] == "metrics-api"
        told = one["metadata"]
        place = urlsplit(told["url"])
        found = requests.get(
            f"{self._gateway.url}{place.path}?{place.query}",
            headers=self._authorization(one),
            timeout=60,
        )
        found.raise_for_status()
        value = found.json()
        for name in told["valueLocation"].split("."):
            value = value[name]
        return float(value)

    def _authorization(self, one: dict[str, Any]) -> dict[str, str]:
        assert one["metadata"]["authMode"] == "bearer"
        assert one["authenticationRef"]["name"] == AUTHENTICATION["metadata"]["name"]
        [ref] = AUTHENTICATION["spec"]["secretTargetRef"]
        assert ref["parameter"] == "token"
        return {"Authorization": f"Bearer {self._secrets[ref['name']][ref['key']]}"}

    def replicas(self, current: int) -> int:
        """The pods that there shall be, when there are so many now."""
        spec = SCALED["spec"]
        try:
            value = self.metric()
        except requests.HTTPError:
            return int(spec["fallback"]["replicas"])
        return desired(
            value,
            float(trigger()["metadata"]["targetValue"]),
            current,
            Bounds(spec["minReplicaCount"], spec["maxReplicaCount"]),
        )


def desired(value: float, average: float, current: int, bounds: Bounds) -> int:
    """The HPA's rule for an average value, with its tolerance of a tenth."""
    if abs(1 - value / (average * current)) <= 0.1:
        return current
    return bounds.within(math.ceil(value / average))


@pytest.fixture
def gateway(dsn: str, store: RunnerStore) -> Iterator[Gateway]:
    del store
    with serving(dsn, keys={"keda": Allowed(rights=("read",))}) as found:
        yield found


def test_a_scaler_follows_the_manifest_to_the_advised_number_of_pods(
    gateway: Gateway, store: RunnerStore
) -> None:
    now = SystemClock().now()
    store.register(host="pod", boot="b", pid=1, pid_started="1", places=4)
    remember(store, now, hook="h", a_minute=60, seconds=6.0)
    [ref] = AUTHENTICATION["spec"]["secretTargetRef"]
    keda = FakeKeda(gateway, {ref["name"]: {ref["key"]: gateway.keys["keda"]}})
    # One a second, of six seconds, at places that are busy for seven tenths of their time.
    assert keda.metric() == 9
    assert keda.replicas(current=1) == 3
    # Whoever has no such key gets nothing, and KEDA falls back.
    stranger = FakeKeda(gateway, {ref["name"]: {ref["key"]: "wpb_keda_wrong"}})
    assert stranger.replicas(current=5) == SCALED["spec"]["fallback"]["replicas"]


@pytest.mark.parametrize(
    ("value", "current", "pods"),
    [(0, 1, 1), (1, 1, 1), (5, 1, 2), (8, 2, 2), (9, 2, 3), (30, 1, 8), (1000, 3, 8), (4, 8, 1)],
)
def test_pods_have_as_many_places_as_are_advised(value: int, current: int, pods: int) -> None:
    average = float(trigger()["metadata"]["targetValue"])
    spec = SCALED["spec"]
    bounds = Bounds(spec["minReplicaCount"], spec["maxReplicaCount"])
    assert desired(value, average, current, bounds) == pods
    assert pods == bounds.most or pods * places_of_a_pod() >= value


def test_the_target_is_what_a_pod_runs_at_once() -> None:
    assert float(trigger()["metadata"]["targetValue"]) == places_of_a_pod()
    [metric] = HPA["spec"]["metrics"]
    assert float(metric["external"]["target"]["averageValue"]) == places_of_a_pod()


def test_both_scale_the_deployment_that_is_there_and_alike() -> None:
    meant = {"apiVersion": "apps/v1", "kind": "Deployment", "name": DEPLOYMENT["metadata"]["name"]}
    assert SCALED["spec"]["scaleTargetRef"] == HPA["spec"]["scaleTargetRef"] == meant
    behavior = SCALED["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior == HPA["spec"]["behavior"]
    down = Settings().advise_down_after.total_seconds()
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == down
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert [one["value"] for one in behavior["scaleDown"]["policies"]] == [1]
    pods = {SCALED["spec"]["minReplicaCount"], HPA["spec"]["minReplicas"]}
    assert pods == {1}
    assert SCALED["spec"]["maxReplicaCount"] == HPA["spec"]["maxReplicas"]


def test_the_url_leads_to_the_gateways_service_and_a_route_with_this_parameter() -> None:
    service, pods = (
        part("gateway/gateway.yaml", "Service"),
        part("gateway/gateway.yaml", "Deployment"),
    )
    place = urlsplit(trigger()["metadata"]["url"])
    [port] = service["spec"]["ports"]
    assert (place.hostname, place.port) == (service["metadata"]["name"], port["port"])
    labels = pods["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    [serving_] = pods["spec"]["template"]["spec"]["containers"]
    [open_] = serving_["ports"]
    assert port["targetPort"] == open_["name"]
    listen = serving_["args"][serving_["args"].index("--listen") + 1]
    assert listen == f"0.0.0.0:{open_['containerPort']}"
    paths = {serving_[kind]["httpGet"]["path"] for kind in ("livenessProbe", "readinessProbe")}
    assert paths <= {route.path for route in ROUTES}
    [route] = [one for one in ROUTES if one.path == place.path]
    name, _, value = place.query.partition("=")
    assert value in route.query[name]["enum"]
    assert "read" in route.rights


def test_a_busy_pod_that_goes_finishes_what_it_runs() -> None:
    drain = pod_settings(container()["args"]).drain_timeout
    assert drain is not None
    grace = DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > drain.total_seconds()


def test_the_metric_of_the_hpa_is_one_of_ours_and_each_daemon_tells_the_same() -> None:
    [metric] = HPA["spec"]["metrics"]
    name = metric["external"]["metric"]["name"]
    assert METRICS[name].source == "tables"
    assert METRICS[name].labels == ()
    [rule] = yaml.safe_load(ADAPTER["data"]["config.yaml"])["externalRules"]
    assert rule["seriesQuery"] == f'{{__name__="{name}"}}'
    assert rule["metricsQuery"].startswith("max(")
    assert rule["resources"] == {"namespaced": False}


@pytest.mark.parametrize("file", ["keda/keda.yaml", "gateway/gateway.yaml", "hpa/hpa.yaml"])
def test_commands_in_comments_are_there(file: str) -> None:
    lines = (FOLDER / file).read_text("utf-8").splitlines()
    told = [line.strip("# ") for line in lines if line.startswith("#   wpbridge ")]
    assert [docs.unknown_words(line) for line in told] == [[]] * len(told)
    assert bool(told) == (file == "keda/keda.yaml")
