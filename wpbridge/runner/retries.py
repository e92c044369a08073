"""Failed calls that run again: which, and when; by the rules, and by what their logs tell.

How often an action has failed is counted in its own log, so that restarts, snoozes and runs by PHP
do not count, and every runner on every host counts alike.
"""

import random
from collections.abc import Callable, Sequence

from wpbridge.action import ActionId, is_own_hook
from wpbridge.executors.base import Report
from wpbridge.outcome import Failed, Retried
from wpbridge.runner import log_texts
from wpbridge.runner.retry_rules import decide, rule_for
from wpbridge.site.rules import RetryRule
from wpbridge.store.protocol import Store


class Retries:
    """Applies the retry rules to what has failed."""

    def __init__(
        self,
        store: Store,
        rules: Sequence[RetryRule],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._chance = chance

    def again(self, reports: Sequence[Report]) -> dict[ActionId, Retried]:
        """Return the retries of those failed reports that a rule tries again."""
        found: list[tuple[Report, Failed, RetryRule]] = []
        for report in reports:
            if isinstance(report.outcome, Failed):
                action, failed = report.call.action, report.outcome
                if is_own_hook(action.hook):
                    # Its handler has its own tries, and its failure is final.
                    continue
                rule = rule_for(
                    self._rules, hook=action.hook, group=action.group, error=failed.error_type
                )
                if rule is not None and report.call.start_mark != "once":
                    found.append((report, failed, rule))
        if not found:
            return {}
        ids = [report.call.action.id for report, _, _ in found]
        before = self._store.said(ids, log_texts.RETRY_MESSAGE)
        retried: dict[ActionId, Retried] = {}
        for report, failed, rule in found:
            action_id = report.call.action.id
            again = decide(rule, attempt=before.get(action_id, 0) + 1, chance=self._chance())
            if again is not None:
                retried[action_id] = Retried(
                    after=again.after, reason=failed.reason, attempt=again.attempt, of=again.of
                )
        return retried
