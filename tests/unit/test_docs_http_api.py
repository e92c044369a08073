"""The reference of the HTTP API, and of its clients, says what the code says."""

import inspect

import pytest
from test_docs_reference import Table, below, codes, page

from wpbridge.client import Client, NewJob, client
from wpbridge.web import adding, bodies, job_requests
from wpbridge.web.declarations import JOB, NEW_JOB
from wpbridge.web.problems import KINDS
from wpbridge.web.routes import ROUTES

API = "http-api.md"


def test_every_route_is_told_as_the_table_has_it() -> None:
    [table] = below(API, "Routes")
    told = {codes(row[0])[0]: (row[1], row[2]) for row in table.rows}
    assert list(told) == [f"{route.method} {route.path}" for route in ROUTES]
    for route, (needs, summary) in zip(ROUTES, told.values(), strict=True):
        rights = " or ".join(f"`{right}`" for right in route.rights) or "nothing"
        assert needs == rights + (", or a token" if route.takes_tokens else ""), route.path
        assert summary == route.summary


def test_every_problem_is_told() -> None:
    [table] = below(API, "Problems")
    told = [(codes(row[0])[0], int(row[1]), row[2]) for row in table.rows]
    assert told == [(name, kind.status, kind.title) for name, kind in KINDS.items()]
    assert all(row[3] for row in table.rows)


@pytest.mark.parametrize(("title", "schema"), [("A new job", NEW_JOB), ("A job", JOB)])
def test_fields_are_those_of_the_declarations(title: str, schema: dict[str, object]) -> None:
    [table] = below(API, title)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert sorted(codes(row[0])[0] for row in table.rows) == sorted(properties)


def test_limits_are_those_of_the_code() -> None:
    text = page(API)
    assert f"{bodies.MOST_BYTES >> 10} KiB" in text
    assert f"{bodies.MOST_BATCH_BYTES >> 20} MiB" in text
    assert f"up to {adding.MOST_IN_BATCH:,} of them" in text
    assert f"{job_requests.LONGEST_WAIT_SECONDS:g} at most" in text
    assert client.MOST_IN_BATCH == adding.MOST_IN_BATCH
    assert client.LONGEST_POLL_SECONDS == job_requests.LONGEST_WAIT_SECONDS


def test_every_method_of_the_client_is_told() -> None:
    [table] = below("clients.md", "What they can do")
    told = [codes(row[0])[0].partition("(")[0] for row in table.rows]
    public = [name for name in vars(Client) if not name.startswith("_") and name != "close"]
    assert told == ["Client", *public]


def test_a_new_job_has_the_fields_of_the_api() -> None:
    """``in`` is a word of Python; ``key`` is no field but a header. What goes through the broker
    cannot be followed, so the client does not send it."""
    ours = [name.rstrip("_") for name in inspect.signature(NewJob).parameters]
    assert sorted(ours) == sorted(NEW_JOB["properties"].keys() - {"through"})
    given = inspect.signature(Client.enqueue).parameters.keys() - {"self", "key"}
    assert {name.rstrip("_") for name in given} == set(ours)


def test_tables_are_whole() -> None:
    tables: list[Table] = below("clients.md", "What can go wrong")
    assert [codes(row[0])[0] for row in tables[0].rows] == [
        "InputError",
        "Problem",
        "BadAnswer",
        "Unreachable",
    ]
