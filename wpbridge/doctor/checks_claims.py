"""Check claims: those of runners that are gone, and those without actions."""

from datetime import timedelta
from typing import Final

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ClaimId
from wpbridge.doctor.checks_runners import RUN, cares
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, number, ok, some, warning
from wpbridge.store.reading.survey import CAP
from wpbridge.store.running.runner_store import RunnerStore


def stale_claims(examined: ExaminedSite) -> Finding:
    """Do dead PHP runners keep pending actions claimed?"""
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
    """Return who does the work of the plugin's cleaner."""
    return "the next run of wpbridge" if cares(examined) else "the next run of PHP's cleaner"


def stale(examined: ExaminedSite) -> dict[ClaimId, int]:
    """Count by claim the pending rows that a cleaner may free; none is a wpbridge runner's."""
    before = examined.now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
    ours = {claim for runner in examined.runners for claim in runner.claims}
    found = examined.rows.stale_claims(before)
    return {claim: count for claim, count in found.items() if claim not in ours}


def stale_running(examined: ExaminedSite) -> Finding:
    """Is anything running without a sign of life?"""
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
        fix=RUN if cares(examined) else "wp action-scheduler run --batches=1",
        count=len(found),
    )


def orphans(examined: ExaminedSite) -> Finding:
    """Is anything running that no runner has in hand?"""
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
    """Are there claims without actions?"""
    found = examined.store.cleaning.empty_claims(CAP + 1)
    if not found:
        return ok("no old claim is empty")
    return note(
        f"{number(len(found))} row(s) of the claims table have no actions and no runner",
        "upkeep drops them" if cares(examined) else "the plugin never removes them",
        fix="wpbridge release-claims --empty",
        fixable=True,
        count=len(found),
    )


CHECKS: Final = (
    Check(name="stale-claims", look=stale_claims),
    Check(name="stale-running", look=stale_running),
    Check(name="orphans", look=orphans),
    Check(name="orphan-claims", look=orphan_claims),
)
