"""Rows the plugin itself wrote: what it stores for args, and what a callback gets."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wpbridge.codec import args, php
from wpbridge.errors import CodecError

GOLDEN = Path(
    os.environ.get("WPBRIDGE_GOLDEN_DIR") or Path(__file__).parents[2] / "fixtures" / "golden"
)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    lines = (GOLDEN / "args.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def test_every_args_array_is_stored_and_handed_on_as_the_plugin_does(
    rows: list[dict[str, Any]],
) -> None:
    assert rows
    wrong = [
        f"row {number}: {problem}"
        for number, row in enumerate(rows, 1)
        for problem in problems_of(row)
    ]
    assert not wrong, f"{len(wrong)} mismatches:\n" + "\n".join(wrong[:20])


def problems_of(row: dict[str, Any]) -> Iterator[str]:
    serialized = base64.b64decode(row["php_serialized_base64"])
    value = php.decode(serialized)
    if php.encode(value) != serialized:
        yield f"PHP text changed: {php.encode(value)!r}"
    # Too long for the column, or an error of the plugin's own.
    is_refused = bool(row.get("too_long")) or "error" in row
    try:
        text = args.encode(args.from_php(value))
        stored, extended = args.columns(text)
    except CodecError:
        if not is_refused:
            yield "refused"
        return
    if is_refused:
        yield "not refused"
        return
    if (stored, extended) != (row["column_args"], row["column_extended_args"]):
        yield f"columns {stored!r}, {extended!r}"
    decoded = args.decode((extended or stored).encode())
    handed = args.encode(list(decoded.values))
    expected = base64.b64decode(row["callback_values_base64"]).decode()
    if handed != expected:
        yield f"callback gets {handed!r}, not {expected!r}"
