"""The table of changes is whole, and the routes of the gateway are made from it."""

import fastjsonschema
import pytest

from wpbridge.errors import InputError
from wpbridge.queue.commands import COMMANDS, Command, command_of
from wpbridge.web.routes import ROUTES

ROLES = {
    "run": "operator",
    "cancel": "operator",
    "requeue": "operator",
    "reschedule": "operator",
    "priority": "operator",
    "pause": "operator",
    "resume": "operator",
    "enqueue": "operator",
    "quiet-worker": "operator",
    "wake-worker": "operator",
    "stop-worker": "admin",
    "delete": "admin",
    "edit-schedule": "admin",
}
"""As docs/explain/dashboard.md has them."""


def test_each_change_needs_the_role_that_was_meant() -> None:
    assert {verb: COMMANDS[verb].role for verb in ROLES} == ROLES
    assert {one.role for one in COMMANDS.values()} <= {"operator", "admin"}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda one: one.verb)
def test_each_change_has_words_and_readable_fields(command: Command) -> None:
    assert command_of(command.verb) is command
    assert command.words[0].isupper()
    assert command.done
    assert command.summary.endswith(".")
    assert len({field.name for field in command.fields}) == len(command.fields)
    assert all(field.words for field in command.fields)
    assert callable(command.function)
    fastjsonschema.compile(command.schema)


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(InputError, match=r"^verb: one of run, cancel"):
        command_of("drop")


def test_the_gateway_has_a_route_for_each_change_of_an_action() -> None:
    begin = "/v1/actions/{action}/"
    routes = {
        route.path.removeprefix(begin): route
        for route in ROUTES
        if route.method == "POST" and route.path.startswith(begin)
    }
    wanted = {verb: one for verb, one in COMMANDS.items() if one.kind != "queue"}
    assert list(routes) == list(wanted)
    for verb, command in wanted.items():
        needed = "administer" if command.role == "admin" else "operate"
        assert routes[verb].rights == (needed,)
        body = routes[verb].body
        assert (body.schema if body else None) == (command.schema if command.fields else None)
