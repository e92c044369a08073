"""The gateway and its OpenAPI document, tried with requests that schemathesis makes of it.

Those that the document allows get an answer that it tells of, and never one of the gateway's own
faults. Those that it forbids are never accepted.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks

from databases import empty_queue
from gateway import Gateway, serving
from wpbridge.web.openapi import document
from wpbridge.web.routes import ROUTES

SCHEMA: Final = schemathesis.openapi.from_dict(document(ROUTES, ""))
OPERATIONS: Final[dict[str, Any]] = {
    f"{route.method} {route.path}": SCHEMA[route.path][route.method] for route in ROUTES
}
MORE_ROUNDS: Final = 5
CHECKS: Final = {
    GenerationMode.POSITIVE: (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ),
    GenerationMode.NEGATIVE: (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    file = tmp_path_factory.mktemp("gateway") / "queue.db"
    with serving(empty_queue(file)) as found:
        yield found


@schemathesis.serializer("application/x-ndjson")
def one_line(_context: Any, value: Any) -> bytes:
    return json.dumps(value).encode()


def ways() -> Iterator[tuple[str, GenerationMode]]:
    """Each operation in both ways; what takes nothing cannot be asked in a wrong one."""
    for label, one in OPERATIONS.items():
        yield label, GenerationMode.POSITIVE
        if one.body or one.query or one.headers or one.path_parameters:
            yield label, GenerationMode.NEGATIVE


@pytest.mark.parametrize(("label", "mode"), list(ways()))
def test_requests_of_the_document(
    gateway: Gateway, label: str, mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    wanted = checks.CHECKS.get_by_names(list(CHECKS[mode]))
    statuses: Counter[int] = Counter()

    def run(case: Any) -> None:
        answer = case.call(base_url=gateway.url, headers=headers, session=gateway.session)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=wanted)

    headers = {"Authorization": f"Bearer {gateway.key}"}
    examples = 300 if request.config.getoption("--full") else 25
    cases = OPERATIONS[label].as_strategy(generation_mode=mode)
    asked: Any = given(cases)
    tried = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(asked(run))
    tried()
    # A bulk needs the very count of its preview, which no generated request has.
    if mode == GenerationMode.POSITIVE and "{" not in label and "bulk" not in label:
        # Not all of them are refused, so something has been tried. The document cannot say all
        # rules, so by chance a whole round may break one, such as that a pause has one scope.
        for _ in range(MORE_ROUNDS):
            if not any(status < 300 for status in statuses):
                tried()
        assert any(status < 300 for status in statuses), statuses
