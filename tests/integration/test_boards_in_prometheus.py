"""A real Prometheus, with the shipped settings, answers what the boards ask for."""

import json
import math
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import prometheus
from conftest import ROOT, needs
from daemons import until
from wpbridge.monitor import endpoint
from wpbridge.telling.exposition import text_of
from wpbridge.telling.metrics import METRICS
from wpbridge.telling.numbers import Numbers

BOARDS: Final = sorted((ROOT / "wpbridge" / "deploy" / "grafana").glob("*.json"))
VALUES: Final = {
    "group": ["", "mail"],
    "state": ["busy", "idle", "max"],
    "outcome": ["complete", "failed", "given_up"],
    "status": ["pending", "failed"],
    "runner": ["wpbridge", "php"],
}
VARIABLES: Final = {
    "$__rate_interval": "30s",
    "${site:regex}": "shop",
    "$site": "shop",
    "$group": ".*",
    "$hook": ".*",
}


def growing() -> Callable[[], Numbers]:
    """Numbers with every metric; counters grow each time."""
    found = Numbers()

    def grown() -> Numbers:
        for name, metric in METRICS.items():
            for labels in combined(metric.labels):
                if metric.kind == "histogram":
                    found.observe(name, *labels, seconds=metric.bounds[3])
                elif metric.kind == "counter":
                    found.add(name, *labels)
                else:
                    found.set(name, *labels, value=1)
        return found

    return grown


def combined(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not names:
        yield ()
        return
    for value in VALUES.get(names[0], [f"some_{names[0]}"]):
        for rest in combined(names[1:]):
            yield (value, *rest)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prometheus.Prometheus]:
    told = endpoint.serve("127.0.0.1:0", growing(), site="shop", token=None)
    target = told.address.removeprefix("http://").removesuffix(endpoint.PATH)
    folder = tmp_path_factory.mktemp("prometheus")
    try:
        with prometheus.started(folder, {endpoint.DEFAULT_LISTEN: target}, "200ms") as server:
            yield server
    finally:
        told.close()


def answered(server: prometheus.Prometheus, expression: str) -> list[dict[str, Any]]:
    """What is answered to an expression. Rates need two scrapes between which something grew."""

    def numbers() -> list[dict[str, Any]]:
        found = server.query(expression)
        is_none = any(math.isnan(float(one["value"][1])) for one in found)
        return [] if is_none else found

    return list(until(numbers, expression))


@pytest.mark.parametrize("board", BOARDS, ids=lambda file: file.stem)
def test_every_panel_has_an_answer(server: prometheus.Prometheus, board: Path) -> None:
    for panel in json.loads(board.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found = answered(server, expression)
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert all(wanted <= set(one["metric"]) for one in found), expression


def test_what_has_no_group_has_a_name(server: prometheus.Prometheus) -> None:
    [panel] = [
        panel
        for panel in json.loads((BOARDS[0].parent / "overview.json").read_text())["panels"]
        if panel["title"] == "Due actions by group"
    ]
    expression = panel["targets"][0]["expr"].replace("$site", "shop").replace("$group", ".*")
    found = answered(server, expression)
    assert sorted(one["metric"]["group"] for one in found) == ["mail", "no group"]


def test_promtool_has_nothing_to_say_against_the_metrics() -> None:
    needs(prometheus.MISSING)
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text_of(growing()(), site='a "shop"\n'),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
