"""Say from the words of an error whether it helps to requeue what failed with it.

Only the message is known here, and anybody may have written it. So a hint says what such errors
mostly mean, and never that a requeue is safe: whether an action may run twice, its code alone says.
"""

import re
from typing import Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass

Chance: TypeAlias = Literal["likely", "mend", "partial", "unknown"]


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Mark a text for the catalogue of the pages, and return it as it is."""
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryHint:
    """What a requeue may bring."""

    chance: Chance
    words: str


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_PARTIAL: Final = RetryHint(
    chance="partial",
    words=N_(
        "It may have run in part: its process ended in the middle. Look at what it has done"
        " before you requeue it."
    ),
)
_HINTS: Final = (
    (
        _any(
            r"no callbacks? (?:is|are) registered",
            r"nothing runs the hook",
            r"has lost its handler",
            r"handler ?not ?found",
        ),
        RetryHint(
            chance="mend",
            words=N_("Nothing runs this hook: activate its plugin or register its handler first."),
        ),
    ),
    (
        _any(
            r"failure fetching this action",
            r"\bcodecerror\b",
            r"cannot be decoded",
            r"invalid json",
            r"json[_ ]?decode",
            r"schedule is (?:no object|damaged)",
        ),
        RetryHint(
            chance="mend",
            words=N_(
                "Its row cannot be read: requeued as it is, it fails again. Mend what adds it."
            ),
        ),
    ),
    (
        _any(
            r"allowed memory size",
            r"out of memory",
            r"memoryerror",
            r"maximum execution time",
            r"ran longer than .{1,20} and was ended",
        ),
        RetryHint(
            chance="partial",
            words=N_(
                "It ran into a limit and may have run in part. Give it more memory or time, or"
                " less to do, before you requeue it."
            ),
        ),
    ),
    (
        _any(
            r"unexpected shutdown",
            r"in-progress for at least",
            r"marked as failed after \d+ seconds",
            r"its runners? \(.{0,300}\) (?:died|is gone)",
            r"its runners died",
            r"\bworkerlost\b",
            r"while (?:it|the handler) ran,",
            r"the handler's process",
            r"\bphp (?:ended|was ended|does not answer|did not end)",
            r"the callback ended php",
            r"ending could not be written",
        ),
        _PARTIAL,
    ),
    (
        _any(
            r"\b(?:TypeError|ArgumentCountError|ValueError|KeyError|AttributeError|NameError"
            r"|ImportError|ModuleNotFoundError|SyntaxError|ParseError|IndexError)\b",
            r"call to (?:undefined|a member function)",
            r"undefined (?:function|method|variable|index|array key|constant|property)",
            r"syntax error",
            r"class .{1,200} not found",
            r"failed opening required",
        ),
        RetryHint(
            chance="mend",
            words=N_("The code or its data has a mistake: requeued as it is, it fails again."),
        ),
    ),
    (
        _any(
            r"\b(?:http(?:/\d(?:\.\d)?)?|status|code)(?:[ _](?:error|response|code))?\W{0,3}"
            r"(?:400|401|403|404|405|409|410|413|415|422)\b",
            r"\b(?:unauthori[sz]ed|forbidden|access denied|permission denied|invalid api key)\b",
        ),
        RetryHint(
            chance="mend",
            words=N_(
                "The other side refuses the request: look at its address, its data and your"
                " credentials first."
            ),
        ),
    ),
    (
        _any(
            r"\bhttp(?:/\d(?:\.\d)?)?\W{0,3}(?:429|5\d\d)\b",
            r"\b(?:status|code)(?:[ _](?:error|response|code))?\W{0,3}(?:429|5\d\d)\b",
            r"too many (?:requests|connections)",
            r"rate limit",
            r"timed?[ -]?out\b",
            r"\btimeout",
            r"connection (?:refused|reset|aborted|closed|lost)",
            r"could(?:n't| not) (?:connect|resolve)",
            r"curl error (?:5|6|7|28|35|52|56)\b",
            r"name or service not known|temporary failure in name resolution",
            r"network is unreachable|no route to host|broken pipe",
            r"temporarily unavailable|service unavailable|bad gateway|try again later",
            r"deadlock|lock wait timeout|server has gone away|database is locked",
        ),
        RetryHint(
            chance="likely",
            words=N_(
                "Such errors often pass: it is likely to succeed when it is repeated. The other"
                " side may have taken the first request all the same."
            ),
        ),
    ),
)
_UNKNOWN: Final = RetryHint(
    chance="unknown",
    words=N_("The message does not say. Requeue one of them first, and see how it ends."),
)
_READ: Final = 2_000


def hint_of(message: str) -> RetryHint:
    """Return what the words of an error's message say. Only its first 2,000 characters count."""
    text = message[:_READ]
    return next((hint for pattern, hint in _HINTS if pattern.search(text)), _UNKNOWN)
