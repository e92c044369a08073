"""Calls of Python handlers through one executor, without a queue."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from factories import stored
from wpbridge.action import ActionId
from wpbridge.executors.base import Call, Report
from wpbridge.executors.process.executor import ProcessExecutor
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Completed, Failed, Outcome

KINDS = ("threads", "process")
"""The ways to run Python handlers."""


def make_call(hook: str, *values: Any, action_id: int = 1, **changes: Any) -> Call:
    action = stored(
        id=ActionId(action_id),
        hook=hook,
        group=changes.get("group", ""),
        attempts=changes.get("attempts", 0),
        make_key=lambda: str(changes.get("idempotency_key", "")),
    )
    return Call(
        action=action,
        values=values,
        mapping=changes.get("mapping", list(values)),
        may_start=changes.get("may_start", lambda: True),
    )


def one_report(executor: ThreadExecutor | ProcessExecutor) -> Report:
    """Wait for a report. An executor may also end a wait because it has news of itself."""
    while not (found := executor.reports(60)):
        pass
    (report,) = found
    return report


@dataclass
class Runs:
    """One executor, and the ways a test uses it."""

    executor: ThreadExecutor | ProcessExecutor
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def run(self, hook: str, *values: Any, **changes: Any) -> Report:
        action_id = next(self.ids)
        self.executor.submit(make_call(hook, *values, action_id=action_id, **changes))
        report = one_report(self.executor)
        assert report.call.action.id == action_id
        assert report.started_at <= report.ended_at
        return report

    def outcome(self, hook: str, *values: Any) -> Outcome:
        """Without the detail: only isolated handlers have a traceback and output."""
        outcome = self.run(hook, *values).outcome
        if isinstance(outcome, Failed):
            return Failed(reason=outcome.reason, error_type=outcome.error_type)
        return outcome

    def said(self, hook: str, *values: Any, **changes: Any) -> list[str]:
        report = self.run(hook, *values, **changes)
        assert report.outcome == Completed()
        return [line.message for line in report.call.lines]
