"""Accounts of the database that have the rights of one purpose, and what they do with them."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pymysql
import pytest

from cli_helpers import Done, Site
from rows import change, query
from servers import MariaDB
from wpbridge.errors import WpbridgeError
from wpbridge.store.database.connection import Connection
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
Right = tuple[str, str]
"""A table by its whole name, and a verb such as INSERT."""
_TABLES = re.compile(
    r"\b(INSERT(?: IGNORE)? INTO|DELETE FROM|UPDATE|FROM|JOIN|CREATE TABLE IF NOT EXISTS"
    r"|CREATE TABLE|ALTER TABLE)\s+`?(\w+)",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(\w+) command denied to user .* for (?:table|column '\w+' in table) (.+)")
DROP = "DROP TABLE IF EXISTS "
DENIED_NUMBERS = (1142, 1143, 1044)


class Heard:
    """Which rights the statements of an account use, and which were refused to it."""

    def __init__(self, user: str) -> None:
        self.user = user.encode()
        self.used: set[Right] = set()
        self.refused: set[Right] = set()

    def hear(self, connection: Connection, sql: str) -> None:
        if getattr(connection.raw, "user", None) != self.user:
            return
        if sql.startswith(DROP):
            self.used |= {(table, "DROP") for table in sql.removeprefix(DROP).split(", ")}
        for verb, table in _TABLES.findall(sql):
            word = verb.upper().split()[0]
            self.used.add((table, "SELECT" if word in ("FROM", "JOIN") else word))
            if word in ("UPDATE", "DELETE") or " RETURNING " in sql:
                # Of the columns in the condition, or of those that are returned.
                self.used.add((table, "SELECT"))
            if "ON DUPLICATE KEY" in sql and word == "INSERT":
                self.used.add((table, "UPDATE"))

    def refuse(self, error: BaseException) -> None:
        number, *words = error.args or (0,)
        if number in DENIED_NUMBERS and (found := _DENIED.search(str(words[0] if words else ""))):
            table = re.findall(r"\w+", found[2])[-1]
            self.refused.add((table, found[1]))


@contextmanager
def heard(user: str) -> Iterator[Heard]:
    """Hear the statements of one user on all connections of this process."""
    ear, send = Heard(user), Connection._send

    def listening(self: Connection, sql: str, values: Any, *, is_many: bool) -> Any:
        ear.hear(self, sql)
        try:
            return send(self, sql, values, is_many=is_many)
        except self.driver.error as error:
            ear.refuse(error)
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "_send", listening)
        yield ear


@dataclass
class Account:
    """An account with the rights of one purpose on one site, and the site as root sees it."""

    server: MariaDB
    root: Site
    purpose: str
    user: str
    grants: list[str] = field(default_factory=list)
    """The statements that gave it its rights."""
    more: dict[str, Any] = field(default_factory=dict)
    """What deeds keep from one to the next, such as a server."""

    @property
    def site(self) -> Site:
        """The site, with the account's own address."""
        return Site(self.dsn, self.root.folder, self.root.store)

    @property
    def dsn(self) -> str:
        return self.root.dsn.replace("root@", f"{self.user}@")

    @property
    def store(self) -> RunnerStore:
        """The tables as root sees them."""
        return self.root.store

    @property
    def database(self) -> str:
        return self.root.dsn.partition("?")[0].rpartition("/")[2]

    def do(self, *statements: str) -> None:
        """Run statements as the server's root."""
        connection = self.server.connect()
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def grant(self, *options: str) -> None:
        """Run the statements that `wpbridge grants` prints for the purpose."""
        told = self.root.ok(
            "grants", "--for", self.purpose, "--account", f"{self.user}@localhost", *options
        )
        self.grants = [line for line in told.splitlines() if not line.startswith("--")]
        self.do(*self.grants)

    @property
    def rights(self) -> list[tuple[Right, str, str]]:
        """Each single right, with the statements that take it and give it back."""
        found = []
        for grant in self.grants:
            told = re.fullmatch(r"GRANT (.+) ON (\S+) TO (\S+);", grant)
            assert told is not None, grant
            table = told[2].rpartition(".")[2].strip("`")
            for right in re.findall(r"[A-Z]+(?: \([^)]*\))?", told[1]):
                take = f"REVOKE {right} ON {told[2]} FROM {told[3]}"
                give = f"GRANT {right} ON {told[2]} TO {told[3]}"
                found.append(((table, right.partition(" ")[0]), take, give))
        return found

    def is_only(self, right: Right) -> bool:
        """Whether there is no other right on its table. Without any the table is not seen."""
        return sum(table == right[0] for (table, _), _, _ in self.rights) == 1

    def empty(self) -> None:
        """Remove all rows of the queue, so that each deed begins with the same."""
        facts = self.store.names.site
        for table in self.store.names.queue:
            if table not in (facts, self.store.names.secrets):
                change(self.store, f"DELETE FROM {table}")

    def ids(self, hook: str) -> list[int]:
        rows = query(
            self.store,
            f"SELECT action_id FROM {ACTIONS} WHERE hook = :h ORDER BY 1",
            h=hook,
        )
        return [int(str(one)) for (one,) in rows]

    def statuses(self, hook: str) -> list[str]:
        rows = query(
            self.store,
            f"SELECT status FROM {ACTIONS} WHERE hook = :h ORDER BY action_id",
            h=hook,
        )
        return [str(one) for (one,) in rows]


Deed = Callable[[Account], None]


def by_name(*deeds: Deed) -> Mapping[str, Deed]:
    """Deeds, each by the name of its function."""
    return MappingProxyType({one.__name__: one for one in deeds})


@contextmanager
def account(server: MariaDB, root: Site, purpose: str, *, user: str = "") -> Iterator[Account]:
    """An account without any right yet. It is gone when the block ends."""
    name = user or f"u{root.dsn.partition('?')[0].rpartition('/')[2][1:]}"
    found = Account(server, root, purpose, name)
    found.do(f"CREATE USER {found.user}@localhost")
    try:
        yield found
    finally:
        found.do(f"DROP USER {found.user}@localhost")


def done(told: Done) -> Done:
    """A command that did its work, and was refused nothing on the way."""
    assert told.code == 0, told
    assert "denied" not in told.err, told
    return told


def unneeded(account: Account, deeds: Mapping[str, Deed]) -> list[Right]:
    """Do everything; then take each right away, and return those without which all still works.

    What fails says why in one line.
    """
    used: dict[str, set[Right]] = {}
    for name, deed in deeds.items():
        with heard(account.user) as ear:
            account.empty()
            deed(account)
        assert ear.refused == set(), (name, ear.refused)
        used[name] = ear.used
    found = []
    for right, take, give in account.rights:
        account.do(take)
        asked = [n for n in deeds if right in used[n] or account.is_only(right)]
        if not any(_fails(account, deeds[name], right) for name in asked):
            found.append(right)
        account.do(give)
    return found


def _fails(account: Account, deed: Deed, right: Right) -> bool:
    account.empty()
    with heard(account.user) as ear:
        try:
            deed(account)
        except (AssertionError, WpbridgeError, pymysql.Error, OSError) as error:
            why = error
        else:
            return False
    tables = {table for table, _ in ear.refused}
    is_named = right[0] in tables or right[0] in str(why)
    assert is_named or account.is_only(right), (right, ear.refused, why)
    return True
