"""What the rules of the settings say of a hook or a group, in words for people."""

from typing import Final

from wpbridge.site.rules import Limit, RetryRule, rate_text
from wpbridge.web.pages.rendering import seconds_text
from wpbridge.web.pages.texts import N_, tr, trn

RUNNERS: Final = {
    "python": N_("Python"),
    "webhook": N_("webhook"),
    "php": N_("PHP workers"),
    "celery": N_("Celery"),
    "leave": N_("the plugin"),
    "unknown": N_("unknown"),
}
"""Who runs a hook, by where its actions go."""


def limit_words(limit: Limit | None) -> str:
    """Return what a limit allows; empty for none."""
    if limit is None:
        return ""
    parts: list[str] = []
    if limit.max_concurrency:
        parts.append(trn("%(num)s at once", "%(num)s at once", limit.max_concurrency))
        parts[-1] %= {"num": limit.max_concurrency}
    if limit.rate is not None:
        parts.append(tr("%(rate)s at most") % {"rate": rate_text(limit.rate)})
    if limit.pause_after:
        told = trn(
            "paused after %(num)s failure in a row",
            "paused after %(num)s failures in a row",
            limit.pause_after,
        )
        parts.append(told % {"num": limit.pause_after})
    return ", ".join(parts)


def retry_words(rule: RetryRule | None) -> str:
    """Return how failures are tried again."""
    if rule is None or rule.max_attempts <= 1:
        return tr("never")
    told = {
        "attempts": rule.max_attempts,
        "base": seconds_text(rule.base.total_seconds()),
        "cap": seconds_text(rule.cap.total_seconds()),
    }
    return tr("up to %(attempts)s attempts, after %(base)s at first and %(cap)s at most") % told
