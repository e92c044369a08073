"""A queue in which every text that anybody else may choose does harm to whoever shows it raw."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from databases import empty_queue
from seeding import Seeder, date_text

HARM: Final = "window.hurt=1"
MARKUP: Final = (
    f"<script>{HARM}</script>",
    f'"><img src=x onerror={HARM}>',
    f"'onmouseover='{HARM}' autofocus onfocus='{HARM}' x='",
    f"</title></textarea></pre></svg><svg onload={HARM}>",
    f"javascript:{HARM}",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7*7}",
    f'<style>*{{display:none}}</style><base href="//evil.example/"><a hx-on:click="{HARM}">x</a>',
    f'<form id="keys"><input name="csrf"></form><main id="main"><b hx-get="/" hx-trigger="load[{HARM}]">',
)
CONTROLS: Final = (
    "".join(map(chr, range(1, 32))) + "\x7f\x85\x9b31m",
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.example\x07",
    "\u202egnp.exe\u202c \u2066\u2067\u2068\u2069 \u200f\u200e\u061c",
    "zero\u200bwidth\u2060joined\ufeff\u00ad",
    "lines\r\n\u2028apart\u2029",
)
SHAPES: Final = (
    "w" * 191,
    "ملح" * 40,
    "\U0001d4bd\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467" * 8,
    "%00%2e%2e%2f/../?a=b&c=d#e;f",
    "a/b c+d%20e",
    "123",
    "9007199254740993",
)
HOSTILE: Final = (*MARKUP, *CONTROLS, *SHAPES)
BYTES: Final = (b"\xff\xfe\xc3", b"\xed\xa0\x80half", b"cut \xf0\x9f\x98", b"<b>\x80</b>")
"""What is no UTF-8. MariaDB takes none of it; SQLite does, and so do old tables in latin1."""
STATUSES: Final = ("pending", "in-progress", "complete", "failed", "canceled")


def hostile_queue(file: Path) -> str:
    """Make it. Return its DSN."""
    dsn = empty_queue(file)
    with Seeder(file, datetime.now(UTC)) as seeder:
        harms: tuple[str | bytes, ...] = (*HOSTILE, *BYTES)
        for number, harm in enumerate(harms):
            _one(seeder, number, harm)
    return dsn


def _one(seeder: Seeder, number: int, harm: str | bytes) -> None:
    hook = harm[:191]
    args = harm if isinstance(harm, bytes) else json.dumps([harm, {harm: harm}], ensure_ascii=False)
    if number % 4 == 0 and isinstance(harm, str):
        args = json.dumps([harm * (7_500 // len(harm.encode()))], ensure_ascii=False)
    status = STATUSES[number % 4]
    told: dict[str, Any] = {"attempts": number % 3, "last_attempt_gmt": date_text(seeder.now)}
    every = 3600 if number % 5 == 0 else None
    first = seeder.action(
        hook, status, due=-60.0 * number, args=args, group=harm[:200], every=every, **told
    )
    failed = seeder.action(hook, "failed", due=-600, args=args, group=harm[:200], **told)
    for action in (first, failed):
        seeder.log(action, "action created", at=-700)
        seeder.log(action, "action started", at=-60)
        seeder.log(action, harm, at=-50)
        seeder.log(action, _after("action failed: ", harm), at=-40)
        seeder.row("results", action_id=action, result=harm, progress=0.5, progress_text=harm[:60])
    seeder.row("waits", action_id=first, after_id=failed, on_failed="run")
    place = f"{number:012d}"
    uuid = f"00000000-0000-7000-8000-{place}"
    seeder.row("jobs", uuid=uuid, action_id=first, key_name=harm[:64], fingerprint="0" * 64)
    seeder.row("pauses", kind=("hook", "group")[number % 2], name=hook, reason=harm[:200])
    seeder.row("held", hook=hook)
    seeder.row("audit", who=harm[:200], verb="requeue", object=harm[:200], detail=harm)
    seeder.row("api_keys", name=harm[:64], secret_hash="0" * 64, rights=harm)
    seeder.row("limits", kind="hook", name=hook, tokens=1.0, refilled=1.0, failures=2)
    for outcome in ("complete", "failed"):
        minute = seeder.now.replace(second=0, microsecond=0)
        seeder.row(
            "stats",
            span="minute",
            begin_gmt=date_text(minute),
            hook=hook,
            group_id=seeder.group(harm[:200]),
            outcome=outcome,
            actions=3,
        )
    seeder.row(
        "runners",
        host=harm[:200],
        boot=harm[:200],
        pid=number + 1,
        version=harm[:32],
        wish=harm[:10],
        about=_about(harm),
    )
    seeder.row("alerts", rule="backlog", instance=harm[:190], state="firing", owed=harm)


def _about(harm: str | bytes) -> str:
    """What a runner says of itself, where every word is harm."""
    word = harm.decode("utf-8", "replace") if isinstance(harm, bytes) else harm
    counts = {word: 3}
    return json.dumps(
        {"kind": word, "state": word, "executors": counts, "restarts": counts, "done": counts}
    )


def _after(words: str, harm: str | bytes) -> str | bytes:
    return words.encode() + harm if isinstance(harm, bytes) else words + harm
