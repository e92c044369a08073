"""Make all checks in order, and leave out those that cannot be made.

A check is a function from an :class:`ExaminedSite` to findings. One that fails is a finding itself
and stops no other.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, problem
from wpbridge.errors import SchemaError, StoreError, WpbridgeError

Look: TypeAlias = Callable[[ExaminedSite], Finding | Sequence[Finding]]
Needs: TypeAlias = Literal["nothing", "server", "tables"]
_UNKNOWN: Final = "nobody knows how this stands"
_REACH: Final[tuple[Needs, ...]] = ("nothing", "server", "tables")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, its function and what it needs."""

    name: str
    look: Look
    needs: Needs = "tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """The findings, and the checks that were left out."""

    findings: tuple[Finding, ...]
    """The findings of all checks that were made, in their order, with those that are ``ok``."""
    skipped: tuple[str, ...] = ()
    """The checks that could not be made, since the server or the tables are not there."""

    @property
    def is_healthy(self) -> bool:
        """Tell whether there is no problem."""
        return all(finding.level != "problem" for finding in self.findings)


def examine(
    examined: ExaminedSite, checks: Sequence[Check], only: Collection[str] = ()
) -> Examination:
    """Make the checks, or those that are named.

    A named check that cannot be made is a problem of its own. If none is named, the checks of the
    server and of the tables report it for all.
    """
    needed, trouble = _reach(examined)
    reach = _REACH.index(needed)
    wanted = [check for check in checks if not only or check.name in only]
    findings: list[Finding] = []
    skipped: list[str] = []
    for check in wanted:
        if _REACH.index(check.needs) > reach:
            skipped.append(check.name)
            if only:
                cause = f"the check could not be made: {trouble}"
                findings.append(problem(cause, _UNKNOWN).of(check.name))
        else:
            findings += [finding.of(check.name) for finding in _made(check, examined)]
    return Examination(findings=tuple(findings), skipped=tuple(skipped))


def _reach(examined: ExaminedSite) -> tuple[Needs, str]:
    """Return how far the examination can go, and why no further."""
    try:
        examined.info  # noqa: B018 - asks
    except SchemaError as error:
        return "server", str(error)
    except StoreError as error:
        return "nothing", str(error)
    return "tables", ""


def _made(check: Check, examined: ExaminedSite) -> Sequence[Finding]:
    try:
        found = check.look(examined)
    except WpbridgeError as error:
        return [problem(f"the check failed: {error}", _UNKNOWN)]
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        name = type(error).__name__
        return [problem(f"the check failed: {name}: {error}", _UNKNOWN)]
    return [found] if isinstance(found, Finding) else found
