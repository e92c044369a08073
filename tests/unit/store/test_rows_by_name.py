"""Records of rows: their fields are the columns that are read, whatever a site's tables lack."""

from typing import NamedTuple

import pytest

from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS, WAITS


class Row(NamedTuple):
    hook: str
    priority: int
    extended_args: str | None


class Joined(NamedTuple):
    action_id: int
    status: str


class Misspelt(NamedTuple):
    action_id: int
    hok: str


@pytest.mark.parametrize(
    ("lacking", "columns"),
    [
        ((), "hook, priority, extended_args"),
        (("priority",), "hook, 10 AS priority, extended_args"),
        (("priority", "extended_args"), "hook, 10 AS priority, NULL AS extended_args"),
    ],
)
def test_what_a_table_lacks_is_read_as_its_default(lacking: tuple[str, ...], columns: str) -> None:
    assert reader(Row, ACTIONS, lacking=lacking).columns == columns


def test_a_row_becomes_a_record_with_the_columns_names() -> None:
    made = reader(Joined, WAITS, of="w", status="a.status")
    assert made.columns == "w.action_id, a.status AS status"
    assert made.read([(7, "pending"), (8, "failed")]) == [
        Joined(action_id=7, status="pending"),
        Joined(action_id=8, status="failed"),
    ]


def test_a_field_that_is_no_column_is_refused_before_anything_is_read() -> None:
    with pytest.raises(KeyError, match="hok"):
        reader(Misspelt, ACTIONS)
