"""JSON without Infinity and NaN, whatever is told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpbridge.codec.jsontext import dumps, is_finite

INF = float("inf")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (INF, '"INF"'),
        ({"a": [1, -INF, (float("nan"),)]}, '{"a": [1, "-INF", ["NAN"]]}'),
        ([1e308, -0.0], "[1e+308, -0.0]"),
    ],
)
def test_numbers_that_json_cannot_hold_are_texts(value: object, text: str) -> None:
    assert dumps(value) == text


@given(VALUES)
def test_every_value_is_written_as_strict_json(value: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(dumps(value), parse_constant=refuse)
    if is_finite(value):
        assert told == value
