"""What the account and the server allow, proved by what the server answers.

The statements change nothing: each names no row, or is taken back. A server checks the rights of an
account, and whether it takes writes at all, before it looks for rows. Grants are not read: roles,
patterns of database names, and rights on single columns are the server's to judge.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from wpbridge.errors import ReadOnly
from wpbridge.store.database.trouble import sort_trouble
from wpbridge.store.structure.tables import Tables

_ATTEMPT: Final = ("attempts", "last_attempt_gmt", "last_attempt_local")
_DATES: Final = ("scheduled_date_gmt", "scheduled_date_local")
_ADVICE: Final = "grant it, or name another account with --dsn"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is not allowed."""

    problems: tuple[str, ...] = ()
    """Without these no run begins, or none ends."""
    notes: tuple[str, ...] = ()
    """Runs do without these; some commands do not."""


def refuse_read_only(tables: Tables) -> None:
    """For whoever is about to run actions: do not even begin where nothing can be written.

    Raises:
        ReadOnly: with the reason, and at once, however long the session waits for other troubles.
    """
    if reason := tables.session.run(Rights(tables).read_only):
        raise ReadOnly(reason)


def find(tables: Tables) -> Findings:
    """What keeps the account, or anybody, from running this site's actions."""
    there = frozenset(filter(tables.own.has, tables.names.own))
    return tables.session.run(lambda c: Rights(tables).find(c, there))


class Rights:
    """Questions about one site's tables; for a connection that is in no transaction."""

    def __init__(self, tables: Tables) -> None:
        self._names = tables.names
        self._layout = tables.layout
        self._dialect = tables.dialect

    def read_only(self, connection: Connection) -> str:
        """Say why nothing can be written; empty where it can be.

        Raises:
            DBAPIError: the proof is refused for another reason.
        """
        try:
            self._dialect.try_to_write(connection, self._names.actions)
        except DBAPIError as error:
            trouble = sort_trouble(error.orig or error)
            if not trouble.read_only:
                raise
            return str(trouble.error)
        return ""

    def find(self, connection: Connection, own: Collection[str]) -> Findings:
        """Ask for all that a run does. ``own``: the tables of our own that are there."""
        try:
            reason = self.read_only(connection)
        except DBAPIError as error:
            # A right that is missing is told below, with all others.
            self._raise_trouble(error)
            reason = ""
        if reason:
            return Findings(problems=(reason,))
        problems = self._refusals(connection, self._needed(own))
        missing = [table for table in self._names.first if table not in own]
        uncreated = [t for t in missing if not self._dialect.may_create(connection, t)]
        if uncreated:
            problems.append(
                f"the account may not create {', '.join(uncreated)}, and sees none of them, which"
                " the next run needs: run `wpbridge init` with an account that may create tables,"
                " and grant this one SELECT, INSERT, UPDATE and DELETE on them"
            )
        notes = self._refusals(connection, self._wanted())
        site = self._names.site
        if own and site not in own and not self._dialect.may_create(connection, site):
            notes.append(f"wpbridge's own tables stay as they are: the account may not make {site}")
        return Findings(problems=tuple(problems), notes=tuple(notes))

    def _refusals(self, connection: Connection, statements: Iterable[str]) -> list[str]:
        """In the server's words why statements are refused."""
        told: list[str] = []
        # Taken back, since SQLite notes in its table of counters that it was asked for none.
        connection.exec_driver_sql(self._dialect.begin)
        try:
            for statement in statements:
                try:
                    connection.execute(text(f"{statement} WHERE 1 = 0")).close()
                except DBAPIError as error:
                    self._raise_trouble(error)
                    words = " ".join(str((error.orig or error).args[-1]).split())[:200]
                    told.append(f"a right is missing: {words}; {_ADVICE}")
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
        return told

    @staticmethod
    def _raise_trouble(error: DBAPIError) -> None:
        """Raise an error that tells nothing of rights: a lost connection, rows that are locked."""
        trouble = sort_trouble(error.orig or error)
        if error.connection_invalidated or trouble.gone or trouble.busy:
            raise error

    def _needed(self, own: Collection[str]) -> Iterator[str]:
        """What a run says to each table, without its rows."""
        names, layout = self._names, self._layout
        changed = ("status", "claim_id", "schedule", *_DATES, *_ATTEMPT, "unique_key")
        filled = ("hook", "status", "args", "schedule", "group_id", "claim_id", *_DATES, *_ATTEMPT)
        yield _update(names.actions, layout.present(*changed))
        yield _insert(names.actions, layout.present(*filled, "priority", "extended_args"))
        yield _insert(names.claims, ["date_created_gmt"])
        yield f"DELETE FROM {names.claims}"
        yield _insert(names.groups, ["slug"])
        yield _insert(names.logs, ["action_id", "message", "log_date_gmt", "log_date_local"])
        for table, (key, *_) in names.own_keys.items():
            # What stands in the site's table is written by whoever makes it.
            if table in own and table != names.site:
                yield _update(table, [key])
                yield _insert(table, [key])
                yield f"DELETE FROM {table}"

    def _wanted(self) -> Iterator[str]:
        """What `clean`, `delete` and a site of wpbridge's own need."""
        yield f"DELETE FROM {self._names.actions}"
        yield f"DELETE FROM {self._names.logs}"


def _update(table: str, columns: Sequence[str]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{column} = {column}' for column in columns)}"


def _insert(table: str, columns: Sequence[str]) -> str:
    listed = ", ".join(columns)
    return f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {table}"
