"""What a test's log holds, as people read it."""

import pytest

from wpbridge.telling.log import shown_fields


def heard(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Each record's name or words, with its fields."""
    return [
        " ".join([record.getMessage(), *shown_fields(record.__dict__.get("fields", {}))])
        for record in caplog.records
    ]
