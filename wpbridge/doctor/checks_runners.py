"""Checks of who runs what: runners, claims, pauses, and what is due and waits."""

import shlex
from datetime import timedelta
from typing import Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ClaimId
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, span, warning
from wpbridge.errors import SiteError
from wpbridge.plugin import companion
from wpbridge.store.reading.survey import CAP
from wpbridge.store.records import Pause
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.cleaning import AWAY

LATE_SECONDS: Final = 600
"""Due for longer, and something is wrong."""
RUN: Final = "wpbridge claim-and-run"


def runners(examined: ExaminedSite) -> Finding:
    """Has anybody been seen?"""
    live = [r for r in examined.runners if not examined.is_dead(r)]
    told = [
        f"wpbridge on {r.host}, pid {r.pid}, beat {span(r.beat_age_seconds)} ago" for r in live
    ] + [
        f"{name} {span((examined.now - last).total_seconds())} ago"
        for name, last in sorted(examined.contexts.items())
        if name != "wpbridge" or not live
    ]
    tended = examined.tended_seconds
    if not told and examined.is_ours_running and tended is not None:
        told = [f"wpbridge looked after the site {span(tended)} ago"]
    if missed := _missed(examined):
        return missed
    if _cares(examined) and examined.cleaners_seen:
        return warning(
            some(told),
            "the site is wpbridge's, but runners of PHP's are on: upkeep is left to"
            f" them while they are seen (within the last {span(AWAY.total_seconds())})",
            fix="wpbridge wp install-plugin",
            count=len(told),
        )
    if told:
        return ok(some(told), count=len(told))
    last = examined.last_attempt
    tried = f"the last attempt of any action was {examined.time(last)}" if last else ""
    when = tried or "nothing has ever run"
    unseen = (
        "no runner lives, and the log of the last hour names none"
        if examined.has_claimed
        else "no runner has been seen for an hour"
    )
    return note(f"{unseen}; {when}", "what becomes due waits", fix=RUN, count=0)


def _missed(examined: ExaminedSite) -> Finding | None:
    """On a site that is wpbridge's: nobody runs what has been due for long."""
    late = examined.oldest_open
    if not examined.settings.owns_site or examined.is_ours_running or late is None:
        return None
    age = (examined.now - late.at).total_seconds()
    if age < LATE_SECONDS:
        return None
    seen = examined.cleaners_seen
    effect = (
        f"only runners of PHP's were seen ({some(seen)})"
        if seen
        else "nothing runs: the plugin's own runners are off"
    )
    return problem(
        f"{number(examined.due)} action(s) are due, the first (action {late.id}, hook {late.hook})"
        f" for {span(age)}; the site is wpbridge's (owns_site), but no wpbridge runner lives, nor"
        f" was one at work within the last {span(AWAY.total_seconds())}",
        f"{effect}; start the daemon (wpbridge work), or see why cron starts no run",
        fix=RUN,
        count=examined.due,
    )


def dead_runners(examined: ExaminedSite) -> Finding:
    """Is anything held by wpbridge runners that are gone?"""
    dead = [runner for runner in examined.runners if examined.is_dead(runner)]
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


def concurrency(examined: ExaminedSite) -> Finding:
    """Do PHP's runners wait for ours?"""
    live = examined.rows.live_claims()
    if not live:
        return ok("no claim is held", count=0)
    if _has_companion(examined):
        return ok(f"{number(live)} claim(s) are held; the companion plugin is there", count=live)
    return note(
        f"{number(live)} claim(s) are held, and a site's limit is 1 unless a filter raises it",
        "PHP's runners start no batch until the claims are released",
        fix="wpbridge wp install-plugin",
        count=live,
    )


def _has_companion(examined: ExaminedSite) -> bool:
    folder = examined.site.mu_plugins
    try:
        found = None if folder is None else companion.read(folder)
    except SiteError:
        return False
    return found is not None and examined.store.names.prefix in found.sites


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
    """What names a pause on the command line."""
    return "--all" if one.kind == "all" else f"--{one.kind} {shlex.quote(one.name)}"


def backlog(examined: ExaminedSite) -> Finding:
    """Is something due that nobody takes?"""
    if missed := _missed(examined):
        return missed
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
    """Why it may be that something has been due for long."""
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
            f"{cause}; what is late of it is paused",
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


def unrouted_hooks(examined: ExaminedSite) -> Finding:
    """Does everything due go somewhere?"""
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


def stale_claims(examined: ExaminedSite) -> Finding:
    """Do dead PHP runners hold what waits?"""
    found = stale(examined)
    if not found:
        return ok("no claim is stale")
    rows = sum(found.values())
    return warning(
        f"{number(rows)} waiting action(s) in {len(found)} claim(s) without a sign of their runner"
        f" for over {PLUGIN_TIMEOUT_SECONDS} s",
        f"nobody takes them until {_cleaner(examined)} frees them",
        fix="wpbridge release-claims --stale",
        fixable=True,
        count=rows,
    )


def _cleaner(examined: ExaminedSite) -> str:
    """Who does the plugin's cleaner's work."""
    return "the next run of wpbridge" if _cares(examined) else "the next run of PHP's cleaner"


def _cares(examined: ExaminedSite) -> bool:
    return examined.settings.owns_site and examined.settings.upkeep


def stale(examined: ExaminedSite) -> dict[ClaimId, int]:
    """Waiting rows by claim that a cleaner may free: never those of a wpbridge runner."""
    before = examined.now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
    ours = {claim for runner in examined.runners for claim in runner.claims}
    found = examined.rows.stale_claims(before)
    return {claim: count for claim, count in found.items() if claim not in ours}


def stale_running(examined: ExaminedSite) -> Finding:
    """Does anything run that gives no sign any more?"""
    before = examined.now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
    ours = {claim for runner in examined.runners for claim in runner.claims}
    found = [i for i, claim in examined.rows.stale_running(before) if claim not in ours]
    if not found:
        return ok("nothing runs without a sign")
    effect = f"{_cleaner(examined)} fails them; a recurring chain ends with that"
    if examined.settings.owns_site and not examined.settings.upkeep:
        effect = "nobody ends them: the plugin's own cleaner is off, and so is upkeep"
    return warning(
        f"{number(len(found))} action(s) run without a sign for over {PLUGIN_TIMEOUT_SECONDS} s:"
        f" {some([str(i) for i in found])}",
        effect,
        fix=RUN if _cares(examined) else "wp action-scheduler run --batches=1",
        count=len(found),
    )


def orphans(examined: ExaminedSite) -> Finding:
    """Is anything in progress that no runner has in hand?"""
    found = RunnerStore(examined.store).orphans(now=examined.now)
    if not found:
        return ok("everything that wpbridge has started is in some runner's hand")
    return warning(
        f"{number(len(found))} action(s) that wpbridge started are in progress, and no runner has"
        f" them in hand: {some([str(action.id) for action in found])}",
        "the next run that knows their hooks puts them right by its rescue rule",
        fix=RUN,
        count=len(found),
    )


def orphan_claims(examined: ExaminedSite) -> Finding:
    """Are there claims that hold nothing?"""
    found = examined.store.cleaning.empty_claims(CAP + 1)
    if not found:
        return ok("no old claim is empty")
    return note(
        f"{number(len(found))} row(s) of the claims table hold nothing, and nobody holds them",
        "upkeep drops them" if _cares(examined) else "the plugin never removes them",
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
