"""How handlers are marked, loaded and called."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wpbridge import Cancel, Context, Retry, hook
from wpbridge.action import ActionId
from wpbridge.errors import ConfigError
from wpbridge.executors.threads import outcome_of
from wpbridge.handlers import describe, load
from wpbridge.outcome import Canceled, Completed, Failed, Retried


def context(**changes: object) -> Context:
    values: dict[str, object] = {
        "id": ActionId(7), "hook": "h", "group": "", "attempt": 1, "scheduled_at": None,
        "args": [], "logger": None, "site": "s", "now": lambda: datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return Context(**{**values, **changes})  # type: ignore[arg-type]


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
    assert context(site="other").idempotency_key != first


def test_two_handlers_for_one_hook_are_refused(tmp_path: Path) -> None:
    (tmp_path / "twice_marked.py").write_text(
        "from wpbridge import hook\n@hook('x')\ndef a(): pass\n@hook('x')\ndef b(): pass\n"
    )
    with pytest.raises(ConfigError, match="two handlers"):
        load(["twice_marked"], folder=str(tmp_path))


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
    assert outcome_of(lambda: 1) == Completed()


def test_a_retry_cannot_lie_in_the_past() -> None:
    with pytest.raises(ValueError, match="past"):
        Retry(after=-1)
