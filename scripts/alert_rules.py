"""Prometheus's file of the alerting rules, out of the table in wpbridge/monitor/rules.py."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from wpbridge.monitor.recorded import RECORDED
from wpbridge.monitor.rule_texts import shown
from wpbridge.monitor.rules import RULES, Rule

FILE = Path(__file__).parent.parent / "wpbridge" / "deploy" / "prometheus" / "rules.yaml"
HEAD = """\
# Alerts for a queue of wpbridge: docs/how-to/alert.md tells what each one means.
# Made by scripts/docs from wpbridge/monitor/rules.py, which `wpbridge watch` uses too.
groups:
  - name: wpbridge
    rules:
"""
VALUES = {
    "count": '{{ printf "%.0f" $value }}',
    "ratio": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "bytes": "{{ $value | humanize }}B",
}
"""How Prometheus shows a measure, by its unit."""


def text() -> str:
    """The whole file."""
    return HEAD + "".join(f"      {line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    for name, promql in RECORDED.items():
        yield f"- record: {name}"
        yield f"  expr: {json.dumps(promql)}"
    for rule in RULES.values():
        yield f"- alert: {rule.name}"
        yield f"  expr: {json.dumps(f'({rule.promql}) > {rule.threshold:.15g}')}"
        if rule.lasting:
            yield f"  for: {_time(rule.lasting)}"
        yield "  labels:"
        yield f"    severity: {rule.severity}"
        yield "    service: wpbridge"
        yield "  annotations:"
        yield f"    summary: {json.dumps(_summary(rule), ensure_ascii=False)}"
        yield f"    description: {json.dumps(rule.advice, ensure_ascii=False)}"
        yield f"    runbook: {json.dumps(f'docs/how-to/alert.md#{rule.name.lower()}')}"


def _summary(rule: Rule) -> str:
    return rule.summary.format(
        value=VALUES[rule.unit],
        threshold=shown(rule.threshold, rule.unit),
        of=f"{{{{ $labels.{rule.of} }}}}",
    )


def _time(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f}m"
