"""Check what is due: what is paused, what waits for long, and what nobody runs."""

import shlex
from typing import Final

from wpbridge import app
from wpbridge.doctor.checks_runners import LATE_SECONDS, RUN, missed
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, span, warning
from wpbridge.store.records import Pause


def pauses(examined: ExaminedSite) -> list[Finding]:
    """Is anything paused?"""
    found = [
        note(
            f"{_named(one)} is paused"
            + (f" until {examined.time(one.until)}" if one.until else " until resumed")
            + (f": {one.reason}" if one.reason else ""),
            "wpbridge's runners claim nothing of it; PHP's do unless the companion plugin is there",
            fix=f"wpbridge resume {resume_flags(one)}",
        )
        for one in examined.pauses
    ]
    return found or [ok("nothing is paused")]


def _named(one: Pause) -> str:
    return "everything" if one.kind == "all" else f"{one.kind} {one.name!r}"


def resume_flags(one: Pause) -> str:
    """Return the options that name a pause on the command line."""
    return "--all" if one.kind == "all" else f"--{one.kind} {shlex.quote(one.name)}"


def backlog(examined: ExaminedSite) -> Finding:
    """Is something due that nobody runs?"""
    if late := missed(examined):
        return late
    oldest = examined.oldest_due
    apart = f"; {number(examined.held)} more are held back" if examined.held else ""
    if oldest is None:
        undated = f"{number(examined.due)} action(s) are due, all with a zero date"
        return ok(f"{undated if examined.due else 'nothing is due'}{apart}", count=examined.due)
    age = (examined.now - oldest.at).total_seconds()
    cause = (
        f"{number(examined.due)} action(s) are due, the first (action {oldest.id}, hook"
        f" {oldest.hook}) for {span(age)}{apart}"
    )
    return ok(cause, count=examined.due) if age < LATE_SECONDS else _late(examined, cause)


def _late(examined: ExaminedSite, cause: str) -> Finding:
    """Return the finding for something that has been due for long, with the likely reason."""
    if any(pause.kind == "all" for pause in examined.pauses):
        effect = "they wait for the end of a pause"
        return warning(
            f"{cause}; everything is paused",
            effect,
            fix="wpbridge resume --all",
            count=examined.due,
        )
    oldest = examined.oldest_open
    if oldest is None or (examined.now - oldest.at).total_seconds() < LATE_SECONDS:
        return warning(
            f"{cause}; all late ones are paused",
            "they wait for the end of a pause",
            fix="wpbridge doctor --only pauses",
            count=examined.due,
        )
    if not examined.is_somebody_running:
        return problem(
            f"{cause}; no runner has been seen for an hour",
            "nothing runs",
            fix=RUN,
            count=examined.due,
        )
    return warning(
        f"{cause}; runners have been seen",
        "they do not keep up, or leave this hook alone",
        fix=f"wpbridge explain {oldest.id}",
        count=examined.due,
    )


def own_hooks(examined: ExaminedSite) -> Finding:
    """Does somebody run what wpbridge adds for itself?"""
    told = app.unrun(examined.store, examined.now, examined.me)
    if told is None:
        return ok("no action of wpbridge's own waits for a runner")
    return problem(
        told, "clients do not learn that jobs have ended, and bulks do not go on", fix=RUN
    )


def unrouted_hooks(examined: ExaminedSite) -> Finding:
    """Does every due action have a route to somebody who runs it?"""
    due = examined.due_hooks
    if due is None:
        return note("there are too many hooks to look at each", "some may go nowhere")
    left = [hook for hook in due if not examined.routes.may_accept(hook)]
    if not left:
        is_sure = not examined.not_loaded
        cause = "every due hook is run here" if is_sure else f"not known; {examined.not_loaded}"
        return ok(cause, count=0)
    cause = f"left alone by wpbridge's settings: {some(left)}"
    if examined.settings.owns_site:
        return problem(
            cause,
            "nobody runs them: the plugin's own runners are off",
            fix="wpbridge hooks",
            count=len(left),
        )
    if examined.is_php_running:
        return ok(f"{cause}; PHP's runners, which have been seen, take them", count=len(left))
    if not (examined.handlers or examined.settings.php or examined.settings.routes):
        return note(
            f"{cause}; no handlers are named",
            "doctor cannot tell whether somebody runs them: give --handlers or --php as to a run",
            count=len(left),
        )
    return warning(
        f"{cause}; none of PHP's runners has been seen for an hour",
        "nobody runs them",
        fix="wpbridge hooks",
        count=len(left),
    )


CHECKS: Final = (
    Check(name="pauses", look=pauses),
    Check(name="backlog", look=backlog),
    Check(name="own-hooks", look=own_hooks),
    Check(name="unrouted-hooks", look=unrouted_hooks),
)
