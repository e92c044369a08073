"""A text that is too long for its column is cut between two characters."""

from typing import Any

import pytest

from wpbridge.store.schema.text_columns import Column, Texts

PLACE = ("t", "c")
TEXT = "aä日\U0001f389" * 3


@pytest.mark.parametrize("characters", [None, 0, 1, 5, 12, 99])
@pytest.mark.parametrize("octets", [None, *range(31), 99])
def test_it_keeps_as_many_whole_characters_as_fit(
    octets: int | None, characters: int | None
) -> None:
    texts = Texts(columns={PLACE: Column(octets=octets, characters=characters)})
    # No server is asked about a character set that has everything.
    connection: Any = None
    shown = texts.shown(connection, PLACE, TEXT)
    fit = [
        TEXT[:count]
        for count in range(len(TEXT) + 1)
        if (octets is None or len(TEXT[:count].encode()) <= octets)
        and (characters is None or count <= characters)
    ]
    assert shown == fit[-1]
