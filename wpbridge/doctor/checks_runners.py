"""Checks of who runs what: runners, claims, pauses, and what is due and waits."""

import shlex
from datetime import timedelta
from typing import Final

from wpbridge.action import ClaimId
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import Patient
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, span, warning
from wpbridge.errors import SiteError
from wpbridge.plugin import companion
from wpbridge.store.queueing.edits import STALE_SECONDS
from wpbridge.store.reading.survey import CAP
from wpbridge.store.records import Pause
from wpbridge.store.upkeep.cleaning import AWAY

LATE_SECONDS: Final = 600
"""Due for longer, and something is wrong."""
RUN: Final = "wpbridge claim-and-run"


def runners(patient: Patient) -> Finding:
    """Has anybody been seen?"""
    live = [r for r in patient.runners if not patient.is_dead(r)]
    told = [
        f"wpbridge on {r.host}, pid {r.pid}, beat {span(r.beat_age_seconds)} ago" for r in live
    ] + [
        f"{name} {span((patient.now - last).total_seconds())} ago"
        for name, last in sorted(patient.contexts.items())
        if name != "wpbridge" or not live
    ]
    tended = patient.tended_seconds
    if not told and patient.is_ours_running and tended is not None:
        told = [f"wpbridge looked after the site {span(tended)} ago"]
    if missed := _missed(patient):
        return missed
    if _cares(patient) and patient.cleaners_seen:
        return warning(
            some(told),
            "the site is wpbridge's, but runners of PHP's are on: upkeep is left to"
            f" them while they are seen (within the last {span(AWAY.total_seconds())})",
            fix="wpbridge wp install-plugin",
            count=len(told),
        )
    if told:
        return ok(some(told), count=len(told))
    last = patient.last_attempt
    tried = f"the last attempt of any action was {patient.time(last)}" if last else ""
    when = tried or "nothing has ever run"
    unseen = (
        "no runner lives, and the log of the last hour names none"
        if patient.has_claimed
        else "no runner has been seen for an hour"
    )
    return note(f"{unseen}; {when}", "what becomes due waits", fix=RUN, count=0)


def _missed(patient: Patient) -> Finding | None:
    """On a site that is wpbridge's: nobody runs what has been due for long."""
    late = patient.oldest_open
    if not patient.settings.owns_site or patient.is_ours_running or late is None:
        return None
    age = (patient.now - late.at).total_seconds()
    if age < LATE_SECONDS:
        return None
    seen = patient.cleaners_seen
    effect = (
        f"only runners of PHP's were seen ({some(seen)})"
        if seen
        else "nothing runs: the plugin's own runners are off"
    )
    return problem(
        f"{number(patient.due)} action(s) are due, the first (action {late.id}, hook {late.hook})"
        f" for {span(age)}; the site is wpbridge's (owns_site), but no wpbridge runner lives, nor"
        f" was one at work within the last {span(AWAY.total_seconds())}",
        f"{effect}; start the daemon (wpbridge work), or see why cron starts no run",
        fix=RUN,
        count=patient.due,
    )


def dead_runners(patient: Patient) -> Finding:
    """Is anything held by wpbridge runners that are gone?"""
    dead = [runner for runner in patient.runners if patient.is_dead(runner)]
    holding = [f"{r.host}, pid {r.pid}" for r in dead if r.claims]
    if holding:
        return warning(
            f"dead wpbridge runners hold claims: {some(holding)}",
            "their actions wait until the next run puts them back",
            fix=RUN,
            count=len(holding),
        )
    if dead:
        cause = f"{len(dead)} wpbridge runner(s) left without saying so, and hold nothing"
        return note(cause, "the next run forgets them", fix=RUN, count=len(dead))
    return ok("no wpbridge runner has died")


def concurrency(patient: Patient) -> Finding:
    """Do PHP's runners wait for ours?"""
    live = patient.rows.live_claims()
    if not live:
        return ok("no claim is held", count=0)
    if _has_companion(patient):
        return ok(f"{number(live)} claim(s) are held; the companion plugin is there", count=live)
    return note(
        f"{number(live)} claim(s) are held, and a site's limit is 1 unless a filter raises it",
        "PHP's runners start no batch until the claims are released",
        fix="wpbridge wp install-plugin",
        count=live,
    )


def _has_companion(patient: Patient) -> bool:
    folder = patient.site.mu_plugins
    try:
        found = None if folder is None else companion.read(folder)
    except SiteError:
        return False
    return found is not None and patient.store.names.prefix in found.sites


def pauses(patient: Patient) -> list[Finding]:
    """Is anything paused?"""
    found = [
        note(
            f"{_named(one)} is paused"
            + (f" until {patient.time(one.until)}" if one.until else " until resumed")
            + (f": {one.reason}" if one.reason else ""),
            "wpbridge's runners claim nothing of it; PHP's do unless the companion plugin is there",
            fix=f"wpbridge resume {resume_flags(one)}",
        )
        for one in patient.pauses
    ]
    return found or [ok("nothing is paused")]


def _named(one: Pause) -> str:
    return "everything" if one.kind == "all" else f"{one.kind} {one.name!r}"


def resume_flags(one: Pause) -> str:
    """What names a pause on the command line."""
    return "--all" if one.kind == "all" else f"--{one.kind} {shlex.quote(one.name)}"


def backlog(patient: Patient) -> Finding:
    """Is something due that nobody takes?"""
    if missed := _missed(patient):
        return missed
    oldest = patient.oldest_due
    apart = f"; {number(patient.held)} more are held back" if patient.held else ""
    if oldest is None:
        undated = f"{number(patient.due)} action(s) are due, all with a zero date"
        return ok(f"{undated if patient.due else 'nothing is due'}{apart}", count=patient.due)
    age = (patient.now - oldest.at).total_seconds()
    cause = (
        f"{number(patient.due)} action(s) are due, the first (action {oldest.id}, hook"
        f" {oldest.hook}) for {span(age)}{apart}"
    )
    return ok(cause, count=patient.due) if age < LATE_SECONDS else _late(patient, cause)


def _late(patient: Patient, cause: str) -> Finding:
    """Why it may be that something has been due for long."""
    if any(pause.kind == "all" for pause in patient.pauses):
        effect = "they wait for the end of a pause"
        return warning(
            f"{cause}; everything is paused", effect, fix="wpbridge resume --all", count=patient.due
        )
    oldest = patient.oldest_open
    if oldest is None or (patient.now - oldest.at).total_seconds() < LATE_SECONDS:
        return warning(
            f"{cause}; what is late of it is paused",
            "they wait for the end of a pause",
            fix="wpbridge doctor --only pauses",
            count=patient.due,
        )
    if not patient.is_somebody_running:
        return problem(
            f"{cause}; no runner has been seen for an hour",
            "nothing runs",
            fix=RUN,
            count=patient.due,
        )
    return warning(
        f"{cause}; runners have been seen",
        "they do not keep up, or leave this hook alone",
        fix=f"wpbridge explain {oldest.id}",
        count=patient.due,
    )


def unrouted_hooks(patient: Patient) -> Finding:
    """Does everything due go somewhere?"""
    due = patient.due_hooks
    if due is None:
        return note("there are too many hooks to look at each", "some may go nowhere")
    left = [hook for hook in due if not patient.routes.may_accept(hook)]
    if not left:
        is_sure = not patient.not_loaded
        cause = "every due hook is run here" if is_sure else f"not known; {patient.not_loaded}"
        return ok(cause, count=0)
    cause = f"left alone by wpbridge's settings: {some(left)}"
    if patient.settings.owns_site:
        return problem(
            cause,
            "nobody runs them: the plugin's own runners are off",
            fix="wpbridge hooks",
            count=len(left),
        )
    if patient.is_php_running:
        return ok(f"{cause}; PHP's runners, which have been seen, take them", count=len(left))
    if not (patient.handlers or patient.settings.php or patient.settings.routes):
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


def stale_claims(patient: Patient) -> Finding:
    """Do dead PHP runners hold what waits?"""
    found = stale(patient)
    if not found:
        return ok("no claim is stale")
    rows = sum(found.values())
    return warning(
        f"{number(rows)} waiting action(s) in {len(found)} claim(s) without a sign of their runner"
        f" for over {STALE_SECONDS} s",
        f"nobody takes them until {_cleaner(patient)} frees them",
        fix="wpbridge release-claims --stale",
        fixable=True,
        count=rows,
    )


def _cleaner(patient: Patient) -> str:
    """Who does the plugin's cleaner's work."""
    return "the next run of wpbridge" if _cares(patient) else "the next run of PHP's cleaner"


def _cares(patient: Patient) -> bool:
    return patient.settings.owns_site and patient.settings.upkeep


def stale(patient: Patient) -> dict[ClaimId, int]:
    """Waiting rows by claim that a cleaner may free: never those of a wpbridge runner."""
    before = patient.now - timedelta(seconds=STALE_SECONDS)
    ours = {claim for runner in patient.runners for claim in runner.claims}
    found = patient.rows.stale_claims(before)
    return {claim: count for claim, count in found.items() if claim not in ours}


def stale_running(patient: Patient) -> Finding:
    """Does anything run that gives no sign any more?"""
    before = patient.now - timedelta(seconds=STALE_SECONDS)
    ours = {claim for runner in patient.runners for claim in runner.claims}
    found = [i for i, claim in patient.rows.stale_running(before) if claim not in ours]
    if not found:
        return ok("nothing runs without a sign")
    effect = f"{_cleaner(patient)} fails them; a recurring chain ends with that"
    if patient.settings.owns_site and not patient.settings.upkeep:
        effect = "nobody ends them: the plugin's own cleaner is off, and so is upkeep"
    return warning(
        f"{number(len(found))} action(s) run without a sign for over {STALE_SECONDS} s:"
        f" {some([str(i) for i in found])}",
        effect,
        fix=RUN if _cares(patient) else "wp action-scheduler run --batches=1",
        count=len(found),
    )


def orphans(patient: Patient) -> Finding:
    """Is anything in progress that no runner has in hand?"""
    found = patient.store.orphans(now=patient.now)
    if not found:
        return ok("everything that wpbridge has started is in some runner's hand")
    return warning(
        f"{number(len(found))} action(s) that wpbridge started are in progress, and no runner has"
        f" them in hand: {some([str(action.id) for action in found])}",
        "the next run that knows their hooks puts them right by its rescue rule",
        fix=RUN,
        count=len(found),
    )


def orphan_claims(patient: Patient) -> Finding:
    """Are there claims that hold nothing?"""
    found = patient.store.parts.cleaning.empty_claims(CAP + 1)
    if not found:
        return ok("no old claim is empty")
    return note(
        f"{number(len(found))} row(s) of the claims table hold nothing, and nobody holds them",
        "upkeep drops them" if _cares(patient) else "the plugin never removes them",
        fix="wpbridge release-claims --empty",
        fixable=True,
        count=len(found),
    )


CHECKS: Final = (
    Check(name="runners", look=runners),
    Check(name="dead-runners", look=dead_runners),
    Check(name="concurrency", look=concurrency),
    Check(name="pauses", look=pauses),
    Check(name="backlog", look=backlog),
    Check(name="unrouted-hooks", look=unrouted_hooks),
    Check(name="stale-claims", look=stale_claims),
    Check(name="stale-running", look=stale_running),
    Check(name="orphans", look=orphans),
    Check(name="orphan-claims", look=orphan_claims),
)
