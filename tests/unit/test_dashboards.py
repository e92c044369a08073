"""The boards in wpbridge/deploy/grafana: made from the description, and true of the metrics."""

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import dashboards
from conftest import ROOT, needs
from expressions import faults, uses
from wpbridge.monitor.recorded import RECORDED
from wpbridge.telling.metrics import METRICS

FOLDER = ROOT / "wpbridge" / "deploy" / "grafana"
BOARDS = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
OWN_PANELS = frozenset({"row", "stat", "timeseries", "table", "heatmap"})
UNITS = frozenset({"short", "s", "bytes", "Bps", "percentunit", "suffix:/s"})
VARIABLES = {
    "overview": ["datasource", "site", "group"],
    "hooks": ["datasource", "site", "group", "hook"],
    "workers": ["datasource", "site"],
    "database": ["datasource", "site"],
}


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_the_files_are_what_the_description_makes() -> None:
    made = dashboards.files()
    there = {file: file.read_text("utf-8") for file in FOLDER.glob("*.json")}
    assert there == made, "run scripts/docs"


def test_boards_can_be_imported_anywhere() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        name: f"wpbridge-{name}" for name in VARIABLES
    }
    for name, board in BOARDS.items():
        assert [one["name"] for one in board["templating"]["list"]] == VARIABLES[name]
        sources = re.findall(r'"uid": "(.*?)"', json.dumps(board))
        assert set(sources) == {board["uid"], "${datasource}"}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))
        assert used <= {*VARIABLES[name], "__rate_interval", "__all"}
        ids = [panel["id"] for panel in board["panels"]]
        assert ids == list(dict.fromkeys(ids))


def test_panels_fill_the_grid_and_do_not_overlap() -> None:
    for name, board in BOARDS.items():
        places = [panel["gridPos"] for panel in board["panels"]]
        taken = Counter(
            (x, y)
            for place in places
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
        assert set(taken.values()) == {1}, name
        assert {x for x, _ in taken} == set(range(24)), name


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["type"] in OWN_PANELS
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["description"].endswith(".")
    is_heatmap = panel["type"] == "heatmap"
    for target in panel["targets"]:
        if "ALERTS{" in target["expr"]:
            # Prometheus makes it of the rules, which have a test of their own.
            continue
        assert faults(target["expr"], is_heatmap=is_heatmap) == [], target["expr"]
        if "by (site" not in target["expr"]:
            assert all(("site", "$site") in use.matchers for use in uses(target["expr"]))


def test_every_metric_is_on_a_board() -> None:
    shown = {
        metric.help
        for board in BOARDS.values()
        for expression in expressions(board)
        for use in uses(expression)
        for metric in use.metrics.values()
    }
    assert [name for name, metric in METRICS.items() if metric.help not in shown] == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("max(wpbridge_due)", "there is no metric"),
        ("vector(0)", "asks for no metric"),
        ("wpbridge_due_actions", "take the max"),
        ("sum(wpbridge_due_actions)", "take the max"),
        ("sum(rate(wpbridge_due_actions[5m]))", "is a gauge"),
        ('max(wpbridge_due_actions{hook="a"})', "no label hook"),
        ("max by (instance) (wpbridge_due_actions)", "no label instance"),
        ("max by (host) (wpbridge_workers)", "no label host"),
        ("max(wpbridge_workers)", "max by instance"),
        ("sum by (state) (max by (state, instance) (wpbridge_workers))", ""),
        ("sum(wpbridge_claims_total)", "max by instance"),
        ("max(rate(wpbridge_claims_total[5m]))", "sum of its rates"),
        ("rate(wpbridge_claims_total[5m])", "sum of its rates"),
        ("sum(rate(wpbridge_claims[5m]))", "there is no metric"),
        ("sum by (hook) (rate(wpbridge_claims_total[5m]))", "no label hook"),
        ("sum(rate(wpbridge_queue_wait_seconds[5m]))", "is a histogram"),
        ("sum(rate(wpbridge_queue_wait_seconds_bucket[5m]))", "without le"),
        ("sum by (le) (rate(wpbridge_queue_wait_seconds_bucket[5m]))", "histogram_quantile"),
        (
            "histogram_quantile(0.9, sum by (le) (rate(wpbridge_queue_wait_seconds_bucket[5m])))",
            "",
        ),
        ('sum(rate({__name__=~"wpbridge_actions_(completed|failed)_total"}[5m]))', ""),
        ('sum by (reason) (rate({__name__=~"wpbridge_actions_.*"}[5m]))', "no label reason"),
        ("abs(wpbridge_due_actions)", "single series"),
    ],
)
def test_what_would_be_wrong_is_seen(expression: str, fault: str) -> None:
    found = faults(expression)
    assert any(fault in one for one in found) if fault else found == []


def test_recording_rules_keep_to_the_same() -> None:
    for name, expression in RECORDED.items():
        # Some are made of others.
        assert [one for one in faults(expression) if one != "it asks for no metric"] == [], name


def test_promtool_reads_each_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    needs(None if promtool else "promtool is not installed (apt-get install prometheus)")
    every = [expression for board in BOARDS.values() for expression in expressions(board)]
    rules = [
        {"record": f"board:{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, expression in enumerate(every)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(every)} rules found" in done.stdout
