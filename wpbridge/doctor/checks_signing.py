"""Check the site's signing secrets. No check shows one."""

from datetime import datetime, timedelta
from typing import Final

from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, ok, problem, warning
from wpbridge.plugin import companion
from wpbridge.store.rows.signing import CURRENT, SigningSecret

ROTATE: Final = "wpbridge keys rotate-signing"
AHEAD: Final = timedelta(days=1)
"""A date that is farther ahead comes from a clock that was wrong."""


def signing_secret(examined: ExaminedSite) -> Finding:
    """Is there a signing secret, and is its table as wpbridge writes it?"""
    rows = examined.store.signing.stored()
    damaged = [row for row in rows if row.secret is None]
    if damaged:
        return problem(
            f"{len(damaged)} signing secret(s) are damaged: not 64 hexadecimal digits",
            "nothing is signed with them, and nothing that was signed with them is accepted",
            fix=ROTATE,
            count=len(damaged),
        )
    others = [row for row in rows if not row.counts]
    if others:
        return warning(
            f"there are {len(rows)} signing secrets, and {len(others)} of them are not wpbridge's",
            "they count for nothing; somebody else has written into the table",
            fix=ROTATE,
            count=len(others),
        )
    if not any(row.place == CURRENT for row in rows):
        return _missing(examined)
    odd = [told for row in rows if (told := _odd(row, examined.now))]
    if odd:
        return warning(
            f"odd dates of signing secrets: {'; '.join(odd)}",
            "a clock was wrong, or somebody else has written into the table",
            fix=ROTATE,
            count=len(odd),
        )
    more = ", and the previous one is valid too" if len(rows) > 1 else ""
    return ok(f"there is a signing secret{more}")


def _missing(examined: ExaminedSite) -> Finding:
    cause = "there is no signing secret yet"
    folder = examined.site.mu_plugins
    found = None if folder is None else companion.read(folder)
    if found is None or examined.store.names.prefix not in found.sites:
        return ok(f"{cause}; it is made when it is first needed")
    effect = "until one is made, the companion plugin signs nothing"
    return note(cause, effect, fix="wpbridge init", fixable=True)


def _odd(row: SigningSecret, now: datetime) -> str:
    """Say what is wrong with a row's dates; return "" for nothing."""
    if row.created_at is None:
        return f"the {row.place} one has no date"
    if (row.retired_at is None) != (row.place == CURRENT):
        has = "has none" if row.retired_at is None else "has one"
        return f"the {row.place} one {has} at which it was retired"
    if max(row.created_at, row.retired_at or row.created_at) > now + AHEAD:
        return f"the {row.place} one is of the future"
    if row.retired_at is not None and row.retired_at < row.created_at:
        return "the previous one was retired before it was made"
    return ""


CHECKS: Final = (Check(name="signing-secret", look=signing_secret),)
