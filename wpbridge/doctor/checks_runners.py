"""Check who runs actions: which runners are alive, and how many actions run at once."""

from typing import Final

from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, span, warning
from wpbridge.errors import SiteError
from wpbridge.plugin import companion
from wpbridge.store.running.seen_runners import CELERY, RELAY, SeenRunner
from wpbridge.store.upkeep.cleaning import AWAY

LATE_SECONDS: Final = 600
"""When something is due for longer than this, something is wrong."""
RUN: Final = "wpbridge claim-and-run"


def runners(examined: ExaminedSite) -> Finding:
    """Has any runner been seen?"""
    live, told = _living(examined), sightings(examined)
    if late := missed(examined):
        return late
    if cares(examined) and examined.cleaners_seen:
        return warning(
            some(told),
            "the site is wpbridge's, but runners of PHP's are on: upkeep is left to"
            f" them while they are seen (within the last {span(AWAY.total_seconds())})",
            fix="wpbridge wp install-plugin",
            count=len(told),
        )
    if live and len(told) == len(live) and not any(one.runs_what_is_due for one in live):
        effect = "what no route hands to Celery waits"
        return note(f"only {some(told)}", effect, fix=RUN, count=len(told))
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


def _living(examined: ExaminedSite) -> list[SeenRunner]:
    return [one for one in examined.seen if not examined.is_dead(one.runner)]


def sightings(examined: ExaminedSite) -> list[str]:
    """Name every runner that was seen within the last hour, and say how long ago."""
    live = _living(examined)
    told = [_named(one) for one in live] + [
        f"{name} {span((examined.now - last).total_seconds())} ago"
        for name, last in sorted(examined.contexts.items())
        if name != "wpbridge" or not live
    ]
    tended = examined.tended_seconds
    if not told and examined.is_ours_running and tended is not None:
        told = [f"wpbridge looked after the site {span(tended)} ago"]
    return told


def _named(one: SeenRunner) -> str:
    who = {RELAY: "a relay", CELERY: "a worker of Celery"}.get(one.about.kind, "wpbridge")
    beat = span(one.runner.beat_age_seconds)
    return f"{who} on {one.runner.host}, pid {one.runner.pid}, beat {beat} ago"


def missed(examined: ExaminedSite) -> Finding | None:
    """Return a finding when wpbridge owns the site and nobody runs what has been due for long."""
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


def cares(examined: ExaminedSite) -> bool:
    """Tell whether wpbridge does what the plugin's cleaner would do."""
    return examined.settings.owns_site and examined.settings.upkeep


def dead_runners(examined: ExaminedSite) -> Finding:
    """Do dead wpbridge runners still have anything in hand?"""
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


CHECKS: Final = (
    Check(name="runners", look=runners),
    Check(name="dead-runners", look=dead_runners),
    Check(name="concurrency", look=concurrency),
)
