"""Bring our own tables from one version to the next, in steps.

This is the one place for changes of existing tables. To change one, edit the description in
:mod:`wpbridge.store.schema.tables`, add a :class:`Step` with the next number to ``STEPS``, and
explain it in docs/explain/own-tables.md. A new table needs no step: it is made when it is first
needed.

A step may be repeated after a crash, and taken by two processes at once, so it must allow both.
Each of its statements stands alone, because MySQL commits before and after each change of a
definition.
"""

from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import uuid4

from wpbridge.dataclass import dataclass
from wpbridge.errors import SchemaError, StoreError
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Transactor
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.schema.tables import RUNNERS, SITE

FIRST_VERSION: Final = 1
"""The version of the tables of wpbridge 0.1, which noted none."""
_SITE_ID, _OLD_UNTIL, _VERSION, _NEEDS = "site_id", "old_keys_until", "version", "needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """Holds the facts that the site's own table contains."""

    site_id: str
    """The site id: random, made once."""
    old_until: int
    """No action with a higher id has a key of wpbridge 0.1."""
    version: int
    """The version of our tables."""
    needs: int
    """The lowest version that a release must know to write to our tables."""


@dataclass(frozen=True, slots=True)
class Place:
    """Names the tables of one site, for steps."""

    session: Transactor
    names: TableNames
    dialect: Dialect

    def make(self, *tables: str) -> None:
        """Make those of our tables that are missing, and the indexes that they lack."""
        ddl, indexes = self.dialect.ddl.own(self.names), self.dialect.ddl.own_indexes(self.names)
        for table in tables:
            self.run(text(ddl[table]))
            for statement in indexes[table]:
                self.run(text(statement))

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; empty where it does not exist."""
        return self.session.run(lambda c: self.dialect.columns(c, table))

    def run(self, statement: Statement, **values: object) -> None:
        """Run a statement that returns nothing."""
        self.session.run(lambda c: c.execute(statement, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of existing tables."""

    version: int
    """The version of the tables after the step."""
    take: Callable[[Place], None]
    breaks: bool = False
    """Whether a release that does not know the step must not write to the tables afterwards."""


def _give_id(place: Place) -> None:
    """Give the site an id of its own. Actions that are queued at this moment keep the keys of 0.1.

    If the table exists already, all queued actions have been noted: the process that made it died,
    or the server has forgotten the id in a crash. Actions added since then are not of 0.1.
    """
    from wpbridge.store.structure import old_keys  # noqa: PLC0415 - few sites take this step

    if not place.columns(place.names.site):
        place.make(place.names.keys)
        old_keys.note_queued(place)
        place.make(place.names.site)
    begin(place, old_until=old_keys.highest(place), version=2)


def _add_to_runners(column: str, place: Place) -> None:
    """Give the table of runners a column that it lacks."""
    table = place.names.runners

    def columns() -> set[str]:
        return set(place.session.run(lambda c: place.dialect.columns(c, table)))

    there = columns()
    if not there or column in there:
        return
    try:
        place.run(text(place.dialect.ddl.add_column(place.names, RUNNERS, column)))
    except StoreError:
        # Another process may have added it first.
        if column not in columns():
            raise


STEPS: Final = (
    Step(version=2, take=_give_id),
    # By the counter a runner sees that its server forgot a write.
    Step(version=3, take=partial(_add_to_runners, "writes")),
    # To this address PHP sends its wakes.
    Step(version=4, take=partial(_add_to_runners, "wake_address")),
    # How many actions a runner can run at once.
    Step(version=5, take=partial(_add_to_runners, "places")),
    # What people wish of a runner: that it is quiet, or stops.
    Step(version=6, take=partial(_add_to_runners, "wish")),
    # What a runner's process is and does, for people who look at it.
    Step(version=7, take=partial(_add_to_runners, "about")),
)
VERSION: Final = STEPS[-1].version
"""The version that this release makes and knows."""


def take_steps(place: Place, version: int) -> None:
    """Bring tables of a version forward to the version of this release."""
    at = f"UPDATE {place.names.site} SET value = :to WHERE name = :name AND value + 0 < :to + 0"
    for step in STEPS:
        if step.version > version:
            step.take(place)
            # The lowest version to know is written first, so that a crash between the two leaves
            # it.
            if step.breaks:
                place.run(text(at), name=_NEEDS, to=str(step.version))
            place.run(text(at), name=_VERSION, to=str(step.version))


def begin(place: Place, *, old_until: int = 0, version: int = VERSION) -> None:
    """Write the facts of the site, unless they are there already.

    It is one statement, so nobody sees a part of them, or the id of one process with the mark of
    another. Of two processes at once, the first one counts.
    """
    facts = {_SITE_ID: uuid4(), _OLD_UNTIL: old_until, _VERSION: version, _NEEDS: _needs(version)}
    rows = ", ".join(f"('{name}', :{name})" for name in facts)
    statement = text(SITE.insert_start(place.names.site, place.dialect.insert_ignore) + rows)
    place.run(statement, **{name: str(value) for name, value in facts.items()})


def _needs(version: int) -> int:
    breaking = [step.version for step in STEPS if step.breaks and step.version <= version]
    return max(breaking, default=FIRST_VERSION)


def read_facts(connection: Connection, names: TableNames) -> SiteFacts | None:
    """Read the facts of a site whose table exists; return None while nobody has written them."""
    rows = connection.execute(text(f"SELECT name, value FROM {names.site}"))
    told = {str(name): str(value) for name, value in rows}
    if _SITE_ID not in told:
        return None
    numbers = {name: told.get(name, "") for name in (_OLD_UNTIL, _VERSION, _NEEDS)}
    for name, value in numbers.items():
        if not (value.isascii() and value.isdigit()):
            raise SchemaError(f"the table {names.site} has no number for {name}: {value!r}")
    return SiteFacts(
        site_id=told[_SITE_ID],
        old_until=int(numbers[_OLD_UNTIL]),
        version=int(numbers[_VERSION]),
        needs=int(numbers[_NEEDS]),
    )
