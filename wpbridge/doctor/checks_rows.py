"""Check the queue's rows: what cannot be read, what never ends, what nobody deletes."""

import shlex
from datetime import timedelta
from typing import Final

from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import MIGRATION_OPTION, ExaminedSite
from wpbridge.doctor.findings import Finding, note, number, ok, some, warning
from wpbridge.store.reading.survey import CAP, SCANNED
from wpbridge.store.upkeep.retention import KEEP

GRACE: Final = timedelta(days=2)
"""Rows may be overdue for so long, since the plugin's cleaner comes once a day."""
_SAMPLE: Final = "among a sample of the log"


def orphan_logs(examined: ExaminedSite) -> Finding:
    """Are there log rows whose action is gone?"""
    if belongs_to_posts(examined):
        return ok("logs of actions that are still posts lie among the others: not judged")
    found, is_whole = examined.rows.orphan_logs()
    where = "" if is_whole else f" {_SAMPLE}"
    if not found:
        return ok(f"no log row without its action{where}")
    return note(
        f"{found:,} log row(s) without their action{where}",
        "they stay for ever and take room",
        fix="wpbridge clean --orphan-logs",
        fixable=True,
        count=min(found, CAP + 1),
    )


def belongs_to_posts(examined: ExaminedSite) -> bool:
    """Tell whether log rows may be of actions that are no rows of the actions table."""
    is_complete = examined.options.get(MIGRATION_OPTION) == "complete"
    return not is_complete and bool(examined.rows.legacy_posts())


def duplicate_chains(examined: ExaminedSite) -> Finding:
    """Does a recurring action exist more than once?"""
    twins = examined.pending.twins
    if not twins:
        return ok(f"no recurring action is there twice{_among(examined)}")
    return warning(
        f"{len(twins):,} duplicate(s) of recurring actions{_among(examined)}:"
        f" {some(sorted(set(twins)))}",
        "their work is done several times each turn, for ever",
        fix="wpbridge dedupe --dry-run",
        count=len(twins),
    )


def stopped_chains(examined: ExaminedSite) -> Finding:
    """Has a recurring action failed without a next run?"""
    found = examined.store.stopped_chains.find(examined.now)
    if not found:
        return ok("no recurring action has stopped after a failure")
    hooks = sorted({hook for hook, _, _ in found})
    return warning(
        f"{number(len(found))} recurring action(s) failed and have no next run: {some(hooks)}",
        "their work never comes again unless somebody schedules it",
        fix=f"wpbridge failures --hook {shlex.quote(hooks[0])}",
        count=len(found),
    )


def corrupt_rows(examined: ExaminedSite) -> Finding:
    """Can every pending action be read?"""
    found = examined.pending.unreadable
    if not found:
        return ok(f"every pending action can be read{_among(examined)}")
    first = found[0]
    return warning(
        f"{len(found):,} pending action(s) cannot be read{_among(examined)}; action {first.id}"
        f" ({first.hook}): {first.why}",
        "they fail as soon as they start; a recurring one ends its chain",
        fix=f"wpbridge get {first.id}",
        fixable=any(one.is_hopeless and not one.is_claimed for one in found),
        count=len(found),
    )


def _among(examined: ExaminedSite) -> str:
    return "" if examined.pending.is_whole else f" among the first {SCANNED:,} pending ones"


def zero_dates(examined: ExaminedSite) -> Finding:
    """Are there pending actions with a zero date?"""
    found = examined.rows.zero_dated()
    if not found:
        return ok("no pending action has a zero date")
    return note(
        f"{number(len(found))} pending action(s) have a zero date, such as action {found[0]}",
        "they are due before all others; the plugin wrote async actions so before 3.5.4",
        fix=f"wpbridge explain {found[0]}",
        count=len(found),
    )


def null_dates(examined: ExaminedSite) -> Finding:
    """Are there pending actions that never become due?"""
    undated = examined.rows.undated()
    waiting = {wait.action_id for wait in examined.store.reading.waits_of(undated)}
    found = [action_id for action_id in undated if action_id not in waiting]
    if not found:
        return ok("no pending action is without a date, but for those that wait for others")
    return warning(
        f"{number(len(found))} pending action(s) have no date and wait for no other, such as"
        f" action {found[0]}",
        "they never become due",
        fix=f"wpbridge reschedule {found[0]} --at now",
        count=len(found),
    )


def held_waits(examined: ExaminedSite) -> Finding:
    """Is any action blocked by one that failed or was canceled?"""
    found = examined.rows.held_waits()
    if not found:
        return ok("nothing waits for an action that failed or was canceled")
    after = sorted({other for _, other in found})
    return warning(
        f"{number(len({one for one, _ in found}))} action(s) are held, since what they wait for"
        " failed or was canceled",
        "they wait until that action is requeued",
        fix=f"wpbridge requeue {' '.join(str(i) for i in after[:20])}",
        count=len(found),
    )


def unique_keys(examined: ExaminedSite) -> Finding:
    """Do ended actions block new ones?"""
    found = examined.rows.kept_keys()
    if not found:
        return ok("no ended action keeps a unique key")
    return warning(
        f"{number(len(found))} ended action(s) keep their unique key",
        "the plugin refuses to schedule the same unique action again",
        fix="wpbridge doctor --fix --only unique-keys",
        fixable=True,
        count=len(found),
    )


def group_twins(examined: ExaminedSite) -> Finding:
    """Does every group have just one row?"""
    found = examined.rows.twin_groups()
    if not found:
        return ok("every group has one row")
    return note(
        f"several rows for one group: {some([repr(slug) for slug in found])}",
        "the plugin's filters by group and its unique actions look at the first row only",
        count=len(found),
    )


def retention(examined: ExaminedSite) -> Finding:
    """Does anybody delete what ended long ago?"""
    counts = {
        status.value: examined.rows.ended_before(status.value, examined.now - keep - GRACE)
        for status, keep in KEEP.items()
    }
    found = {status: count for status, count in counts.items() if count}
    if not found:
        return ok("nothing is kept beyond the plugin's 31 and 93 days")
    told = ", ".join(f"{number(count)} {status}" for status, count in found.items())
    say = warning if max(found.values()) > CAP else note
    only_failed = set(found) == {"failed"}
    return say(
        f"ended for longer than the plugin keeps it: {told}",
        "up to 3.9 the plugin keeps failed actions for ever"
        if only_failed
        else "the plugin's cleaner does not keep up, or does not run",
        fix="wpbridge clean --dry-run" + (" --status failed" if only_failed else ""),
        count=max(found.values()),
    )


CHECKS: Final = (
    Check(name="orphan-logs", look=orphan_logs),
    Check(name="duplicate-chains", look=duplicate_chains),
    Check(name="stopped-chains", look=stopped_chains),
    Check(name="corrupt-rows", look=corrupt_rows),
    Check(name="zero-dates", look=zero_dates),
    Check(name="null-dates", look=null_dates),
    Check(name="held-waits", look=held_waits),
    Check(name="unique-keys", look=unique_keys),
    Check(name="group-twins", look=group_twins),
    Check(name="retention", look=retention),
)
