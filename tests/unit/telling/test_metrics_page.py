"""The page docs/reference/metrics.md against the table in the code."""

import re
from pathlib import Path

from wpbridge.telling.metrics import METRICS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
TITLES = {
    "What runners count": "runner",
    "What the supervisor knows": "supervisor",
    "What the gateway counts": "gateway",
    "What the tables show": "tables",
}


def rows(title: str) -> list[list[str]]:
    [section] = re.findall(
        rf"^## {title}$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in row] for row in found[2:]]


def test_the_page_has_every_metric_with_its_kind_labels_and_meaning() -> None:
    told = {title: rows(title) for title in TITLES}
    assert told == {
        title: [
            [f"`{name}`", metric.kind, ", ".join(f"`{x}`" for x in metric.labels), metric.help]
            for name, metric in METRICS.items()
            if metric.source == source
        ]
        for title, source in TITLES.items()
    }


def test_the_page_has_the_buckets() -> None:
    assert rows("Buckets") == [
        [f"`{name}`", ", ".join(f"{bound:g}" for bound in metric.bounds)]
        for name, metric in METRICS.items()
        if metric.bounds
    ]
