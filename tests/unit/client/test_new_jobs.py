"""What Python values of a new job become, and which of them are refused before anything is sent."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wpbridge.client import BadAnswer, Client, Job, NewJob
from wpbridge.errors import InputError

ID = "01935c2e-7b1a-7c3e-8f00-1234567890ab"
DOCUMENT = {
    "job": ID,
    "status": "running",
    "action_id": 7,
    "hook": "h",
    "args": [],
    "group": "",
    "created_at": "2026-11-29T15:47:15Z",
    "attempts": 1,
    "progress": {"fraction": 0.5, "text": "half"},
}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"args": []}),
        ({"args": (1, "ü", None)}, {"args": [1, "ü", None]}),
        ({"args": {"order": 17}}, {"args": {"order": 17}}),
        ({"at": datetime(2030, 1, 2, tzinfo=UTC)}, {"at": "2030-01-02T00:00:00+00:00"}),
        (
            {"at": datetime(2030, 1, 2, tzinfo=timezone(timedelta(hours=2)))},
            {"at": "2030-01-02T00:00:00+02:00"},
        ),
        ({"at": 0}, {"at": 0}),
        ({"in_": timedelta(minutes=10)}, {"in": 600}),
        ({"in_": timedelta(seconds=1.5)}, {"in": 1.5}),
        ({"in_": 0}, {"in": 0}),
        ({"interval": timedelta(hours=1)}, {"interval": 3600}),
        ({"priority": 0, "unique": True}, {"priority": 0, "unique": True}),
        ({"unique": False, "group": ""}, {}),
        ({"after": [ID, Job.of(DOCUMENT)]}, {"after": [ID, ID]}),
        ({"after": ID}, {"after": [ID]}),
        ({"callback": {"hook": "done"}}, {"callback": {"hook": "done"}}),
    ],
)
def test_values_become_the_fields_of_the_api(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    body = NewJob(hook="h", **given).body()
    assert b"\n" not in body
    assert json.loads(body) == {"hook": "h", "args": [], **wanted}


@pytest.mark.parametrize(
    "given",
    [
        {"args": "text"},
        {"args": b"bytes"},
        {"args": [float("inf")]},
        {"args": [object()]},
        {"at": datetime(2030, 1, 2)},  # noqa: DTZ001 - what it is about
        {"after": ["../../actions"]},
        {"after": [ID.upper()]},
    ],
)
def test_what_json_cannot_tell_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        NewJob(hook="h", **given).body()


def test_a_job_has_dates_and_progress() -> None:
    job = Job.of({**DOCUMENT, "unheard_of": 1})
    assert job.created_at == datetime(2026, 11, 29, 15, 47, 15, tzinfo=UTC)
    assert job.ended_at is None
    assert job.progress is not None
    assert (job.progress.fraction, job.progress.text) == (0.5, "half")
    assert not job.has_ended
    assert job == Job.of(DOCUMENT)


@pytest.mark.parametrize(
    "told",
    [None, [], "job", {}, {**DOCUMENT, "created_at": "soon"}, {**DOCUMENT, "progress": 1}],
)
def test_what_is_no_job_is_a_bad_answer(told: Any) -> None:
    with pytest.raises(BadAnswer):
        Job.of(told)


def test_no_text_of_a_client_has_the_key() -> None:
    with Client("https://example.com/queue/", "wpb_shop_SECRET") as client:
        assert repr(client) == "<Client https://example.com/queue>"
        assert "SECRET" not in repr(vars(client))
    with pytest.raises(InputError) as caught:
        Client("https://example.com", "wpb_shop_SECRET\n")
    assert "SECRET" not in str(caught.value)
