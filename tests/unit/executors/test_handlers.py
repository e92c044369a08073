"""How handlers are marked, loaded and called."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories import context
from wpbridge import Cancel, Context, Retry, hook, on
from wpbridge.action import ActionId
from wpbridge.errors import ConfigError
from wpbridge.events import ActionEvent, ActionFailed, Event, RunnerStarted, StoreLost
from wpbridge.executors.handlers import describe
from wpbridge.executors.loading import load, subscribers
from wpbridge.executors.threads import outcome_of
from wpbridge.outcome import Canceled, Completed, Failed, Retried


def test_values_come_in_order_and_surplus_ones_are_dropped() -> None:
    assert describe("h", lambda a, b: (a, b)).call([1, 2, 3], context()) == (1, 2)
    assert describe("h", lambda *a: a).call([1, 2, 3], context()) == (1, 2, 3)


def test_too_few_values_are_a_clear_error() -> None:
    def takes_two(a: int, b: int) -> None:
        del a, b

    outcome = outcome_of(lambda: describe("h", takes_two).call([1], context()))
    assert isinstance(outcome, Failed)
    assert "missing 1 required positional argument: 'b'" in outcome.reason


def test_a_context_is_given_by_annotation() -> None:
    def handler(value: int, ctx: Context) -> tuple[int, int]:
        return value, ctx.id

    assert describe("h", handler).call([5, 6], context()) == (5, 7)


def test_a_context_before_values_is_refused() -> None:
    def handler(ctx: Context, value: int) -> None:
        del ctx, value

    with pytest.raises(ConfigError, match="last"):
        describe("h", handler)


def test_the_idempotency_key_is_the_actions_own() -> None:
    first = context().idempotency_key
    assert context(attempt=2).idempotency_key == first
    assert context(id=ActionId(8)).idempotency_key != first
    assert context(hook="other").idempotency_key != first
    assert context(key="told").idempotency_key == "told"


def test_a_sites_name_is_no_part_of_the_key() -> None:
    """It depends on how the runner was told where the site is: --path, --dsn or --url."""
    assert (
        context(site="/var/www/html").idempotency_key == context(site="mysql://h/d").idempotency_key
    )


def test_two_handlers_for_one_hook_are_refused(tmp_path: Path) -> None:
    (tmp_path / "twice_marked.py").write_text(
        "from wpbridge import hook\n@hook('x')\ndef a(): pass\n@hook('x')\ndef b(): pass\n"
    )
    with pytest.raises(ConfigError, match="two handlers"):
        load(["twice_marked"], folder=str(tmp_path))


# Modules that subscribe, and middleware


SUBSCRIBING = """
from wpbridge import on
from wpbridge.events import ActionFailed, ActionEvent, Event, StoreLost

@on(ActionFailed)
def one(event): pass

@on(ActionFailed, StoreLost, ActionEvent)
def several(event): pass

@on(StoreLost)
@on(StoreLost)
def twice(event): pass
"""


def test_subscribers_are_found_in_the_order_of_their_definition(tmp_path: Path) -> None:
    (tmp_path / "listens_first.py").write_text(SUBSCRIBING)
    again = "from listens_first import one, on, Event\non(Event)(lambda event: None)\n"
    (tmp_path / "listens_second.py").write_text(
        f"{again}@on(Event)\ndef all(event): pass\nother = one\n"
    )
    modules = ["listens_first", "listens_second"]
    assert load(modules, folder=str(tmp_path)) == {}
    found = subscribers(modules, folder=str(tmp_path))
    assert [(kind, function.__name__) for kind, function in found] == [
        (ActionFailed, "one"),
        (StoreLost, "several"),
        (ActionEvent, "several"),
        (StoreLost, "twice"),
        (Event, "all"),
    ]


def test_a_subscriber_may_belong_to_everything() -> None:
    @on(RunnerStarted, Event)
    def everything(event: Event) -> str:
        return event.site

    assert everything(RunnerStarted(at=datetime(2026, 1, 1, tzinfo=UTC), site="s", pid=1)) == "s"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("@on(Event)\nasync def listen(event): pass", "refused.listen is async"),
        ("@on()\ndef listen(event): pass", "@on names one or more of the classes"),
        ("@on\ndef listen(event): pass", "@on names one or more of the classes"),
        ("@on('action.failed')\ndef listen(event): pass", "@on names one or more of the classes"),
        ("@on(int)\ndef listen(event): pass", "@on names one or more of the classes"),
        ("@middleware\ndef around(context): pass", "refused.around is no plain function with a"),
        ("@middleware\nasync def around(context): yield", "refused.around is no plain function"),
        ("def neither(): pass", "marks no function with @hook, @middleware or @on"),
    ],
)
def test_what_could_not_work_is_refused_with_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.delitem(sys.modules, "refused", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    start = "from wpbridge import middleware, on\nfrom wpbridge.events import Event\n"
    (tmp_path / "refused.py").write_text(f"{start}{code}\n")
    with pytest.raises(ConfigError, match="handlers module refused ") as caught:
        load(["refused"], folder=str(tmp_path))
    assert words in str(caught.value)


def test_a_hook_over_191_characters_is_refused() -> None:
    with pytest.raises(ConfigError, match="191"):
        hook("x" * 192)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Retry(after=5, reason="r"), Retried(after=timedelta(seconds=5), reason="r")),
        (Cancel("c"), Canceled(reason="c")),
        (SystemExit(3), Failed(reason="the handler exited with 3", error_type="SystemExit")),
        (KeyboardInterrupt(), Failed(reason="KeyboardInterrupt", error_type="KeyboardInterrupt")),
        (ValueError("boom"), Failed(reason="boom", error_type="ValueError")),
        (KeyError("k"), Failed(reason="KeyError: 'k'", error_type="KeyError")),
    ],
)
def test_whatever_is_raised_is_an_outcome(raised: BaseException, expected: object) -> None:
    def run() -> None:
        raise raised

    assert outcome_of(run) == expected


def test_returning_completes() -> None:
    assert outcome_of(lambda: 1) == Completed(result="1")
    assert outcome_of(lambda: None) == Completed()


def test_a_retry_cannot_lie_in_the_past() -> None:
    with pytest.raises(ValueError, match="past"):
        Retry(after=-1)
