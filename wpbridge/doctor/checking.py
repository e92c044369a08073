"""Examine a site with every check that there is, or with some, and mend what was found."""

from collections.abc import Collection
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.doctor import (
    checks_celery,
    checks_claims,
    checks_database,
    checks_due,
    checks_gateway,
    checks_rows,
    checks_runners,
    checks_signing,
    checks_site,
    checks_tables,
    checks_wakes,
    examination,
)
from wpbridge.doctor.examination import Check, Examination
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.fixes import Repair, mend
from wpbridge.doctor.opening import look_at
from wpbridge.errors import InputError
from wpbridge.site.config import Settings

CHECKS: Final[tuple[Check, ...]] = (
    *checks_database.CHECKS,
    *checks_tables.CHECKS,
    *checks_signing.CHECKS,
    *checks_site.CHECKS,
    *checks_wakes.CHECKS,
    *checks_gateway.CHECKS,
    *checks_runners.CHECKS,
    *checks_due.CHECKS,
    *checks_celery.CHECKS,
    *checks_claims.CHECKS,
    *checks_rows.CHECKS,
)
NAMES: Final = tuple(check.name for check in CHECKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckUp:
    """What was found, and what was mended or would be."""

    examination: Examination
    repairs: tuple[Repair, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Tell whether no problem is left, and every repair succeeded."""
        return self.examination.is_healthy and not any(one.failed for one in self.repairs)


def check_up(
    settings: Settings,
    only: Collection[str] = (),
    *,
    fix: bool = False,
    dry_run: bool = False,
    statement_seconds: float = 0.0,
) -> CheckUp:
    """Examine the site that these settings mean, and mend what is safe to mend if asked to.

    What was mended is examined once more. Nothing is mended where checks could not be made.

    Args:
        settings: they name the site.
        only: the names of the checks to make; empty for all.
        fix: whether to mend.
        dry_run: change nothing, and say what would be mended.
        statement_seconds: how long a statement may take; zero for any time.

    Raises:
        InputError: there is no check of that name.
        ConfigError, SiteError: the settings mean no site.
    """
    unknown = sorted(set(only) - set(NAMES))
    if unknown:
        raise InputError(
            f"--only: there is no check {', '.join(unknown)}; there are {', '.join(NAMES)}"
        )
    with look_at(settings, statement_seconds=statement_seconds) as site:
        found = examine(site, only)
        if not (fix or dry_run) or found.skipped:
            return CheckUp(examination=found)
        repairs = mend(site, only, dry_run=dry_run)
        if repairs and not dry_run:
            found = examine(site.anew(), only)
    return CheckUp(examination=found, repairs=tuple(repairs))


def examine(site: ExaminedSite, only: Collection[str] = ()) -> Examination:
    """Make all checks, or those that are named; change nothing."""
    return examination.examine(site, CHECKS, only)
