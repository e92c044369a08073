"""The next dates are those of the plugin's own cron expressions, and so are the refusals."""

import json
from pathlib import Path
from typing import Any

from wpbridge.clock import from_timestamp
from wpbridge.codec.cron import next_date, parse
from wpbridge.errors import CronError


def answer(expression: str, after: int, *, allow_current: bool) -> int | str:
    """A Unix time, or ``error``."""
    try:
        found = next_date(parse(expression), from_timestamp(after), allow_current=allow_current)
    except CronError:
        return "error"
    return int(found.timestamp())


def test_every_golden_expression_has_the_plugins_answers(golden_dir: Path) -> None:
    lines = (golden_dir / "cron.jsonl").read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines if line]

    mismatches = []
    for row in rows:
        ours = [answer(row["expression"], row["after"], allow_current=it) for it in (False, True)]
        theirs = [row.get(name, "error") for name in ("next", "next_or_same")]
        if ours != theirs:
            mismatches.append(f"{row}: {ours}")

    assert rows
    assert not mismatches, f"{len(mismatches)} of {len(rows)}:\n" + "\n".join(mismatches)
