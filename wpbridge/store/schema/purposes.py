"""Describe which rights an account of the database needs, by what it is for.

This is the one description of them. `wpbridge grants` prints it as statements, and `wpbridge check`
tries what a runner needs. A table stands here by its name in
:class:`wpbridge.store.schema.layout.TableNames`, and its rights stand as GRANT has them.
``tests/integration/test_grants.py`` has accounts with just these rights do everything, and finds
out for each single right whether something fails without it.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from wpbridge.dataclass import dataclass

Rights = Mapping[str, str]
"""By table: what may be done with it, such as ``SELECT, UPDATE (used_gmt)``."""

_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_ADD_AND_DELETE: Final = "SELECT, INSERT, DELETE"
_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
_DEFINE: Final = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP"

_SITE: Final[Rights] = {
    "options": "SELECT (option_name, option_value)",
    "blogs": "SELECT (blog_id, domain, path)",
}
_PEOPLE: Final[Rights] = {
    **_SITE,
    # The hash of the account's own password is not among them.
    "users": "SELECT (ID, user_login, user_email, spam, deleted)",
    "usermeta": "SELECT (umeta_id, user_id, meta_key, meta_value)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an account is for, and the rights that this takes."""

    about: str
    """The commands, for people."""
    rights: Rights
    """On the plugin's tables and our own."""
    of_wordpress: Rights
    """On WordPress's own tables, as far as they are there."""
    makes_tables: bool = False
    """Whether it makes wpbridge's own tables, so that they need not be there."""


_RUNNER: Final[Rights] = {
    "actions": _ALL,
    "claims": _ADD_AND_DELETE,
    "groups": _ADD,
    "logs": _ADD_AND_DELETE,
    "runners": _ALL,
    "pauses": _ADD_AND_DELETE,
    "zones": _ADD_AND_DELETE,
    "waits": _ALL,
    "keys": _ALL,
    "limits": "SELECT, INSERT, UPDATE",
    "suspects": _ADD_AND_DELETE,
    "duties": "SELECT, INSERT, UPDATE",
    "held": _ALL,
    "secrets": _READ,
    "results": _ALL,
    "jobs": "SELECT, UPDATE, DELETE",
    "api_keys": _READ,
    "stats": _ALL,
    "audit": _ADD,
    "traces": _ADD_AND_DELETE,
    "site": _READ,
}
_WEB: Final[Rights] = {
    "held": _READ,
    "jobs": _ALL,
    "api_keys": "SELECT, UPDATE (used_gmt)",
    "alerts": _READ,
    "own_users": "SELECT, UPDATE",
    "sessions": _ALL,
    "nonces": _ADD_AND_DELETE,
}
_DASHBOARD: Final[Rights] = {
    **dict.fromkeys(
        (
            "actions",
            "claims",
            "groups",
            "logs",
            "runners",
            "pauses",
            "zones",
            "waits",
            "keys",
            "limits",
            "suspects",
            "held",
            "secrets",
            "results",
            "jobs",
            "api_keys",
            "traces",
            "site",
        ),
        _READ,
    ),
    "duties": "SELECT, INSERT, UPDATE",
    "stats": _ADD_AND_DELETE,
    "alerts": _ALL,
    "audit": _ADD,
    "own_users": "SELECT, UPDATE",
    "sessions": _ALL,
    "nonces": _ADD_AND_DELETE,
}
_MADE: Final = "CREATE, DROP"
_INIT: Final[Rights] = {
    # What `uninstall` leaves is to have nothing of wpbridge's own in it.
    "actions": "SELECT, UPDATE, DELETE",
    "claims": "SELECT, DELETE",
    "groups": "SELECT, DELETE",
    "logs": _ADD_AND_DELETE,
    **dict.fromkeys(("limits", "duties", "held", "jobs", "stats", "alerts"), _MADE),
    "suspects": f"{_ADD_AND_DELETE}, {_MADE}",
    "pauses": f"{_READ}, {_MADE}",
    **dict.fromkeys(("waits", "zones", "results", "traces"), f"SELECT, DELETE, {_MADE}"),
    "runners": f"{_ALL}, ALTER, {_MADE}",
    "keys": f"{_ADD_AND_DELETE}, {_MADE}",
    "secrets": f"{_ALL}, {_MADE}",
    "api_keys": f"SELECT, INSERT, UPDATE, {_MADE}",
    "audit": f"{_ADD}, {_MADE}",
    "own_users": f"{_ALL}, {_MADE}",
    "sessions": f"SELECT, UPDATE, {_MADE}",
    "nonces": _MADE,
    "site": f"SELECT, INSERT, UPDATE, {_MADE}",
}
_MEND: Final = "SELECT, UPDATE, ALTER"
_MIGRATIONS: Final[Rights] = {
    "actions": f"{_ALL}, ALTER",
    "claims": _MEND,
    "groups": f"INSERT, {_MEND}",
    "logs": f"INSERT, DELETE, {_MEND}",
    "runners": _MEND,
    "audit": _MEND,
    "zones": _ADD_AND_DELETE,
    "waits": _ADD_AND_DELETE,
    "keys": _ALL,
    "results": "SELECT, DELETE",
    "traces": "SELECT, DELETE",
    # Where a cluster refuses GET_LOCK, moves of posts keep each other out by a row.
    "site": "SELECT, INSERT, UPDATE",
}
_MOVED: Final[Rights] = {
    **_SITE,
    "options": "SELECT, INSERT, UPDATE, DELETE",
    "posts": _ALL,
    **dict.fromkeys(("postmeta", "comments", "commentmeta", "term_relationships"), _ADD_AND_DELETE),
    "terms": _READ,
    "term_taxonomy": "SELECT, UPDATE",
}
PURPOSES: Final[Mapping[str, Purpose]] = MappingProxyType(
    {
        "runner": Purpose(
            about="work, claim-and-run, run and relay", rights=_RUNNER, of_wordpress=_SITE
        ),
        "gateway": Purpose(
            about="serve, with all that people and clients may change",
            rights={**_RUNNER, **_WEB},
            of_wordpress=_PEOPLE,
        ),
        "dashboard": Purpose(
            about="serve, watch, exporter and whatever only looks: nothing of the queue can be"
            " changed",
            rights=_DASHBOARD,
            of_wordpress=_PEOPLE,
        ),
        "migrations": Purpose(
            about="migrate, for as long as a move lasts", rights=_MIGRATIONS, of_wordpress=_MOVED
        ),
        "init": Purpose(
            about="init, uninstall, keys and users: it makes wpbridge's own tables, and says who"
            " may come in",
            rights=_INIT,
            of_wordpress={**_SITE, "options": "SELECT (option_name, option_value), DELETE"},
            makes_tables=True,
        ),
    }
)
"""Each purpose by its name."""
RUNNER: Final = frozenset(
    (table, right) for table, told in _RUNNER.items() for right in re.findall("[A-Z]+", told)
)
"""What a runner needs: names of tables, each with one right."""
RUNS_WITHOUT: Final = frozenset(
    {
        ("actions", "DELETE"),
        ("logs", "DELETE"),
        ("secrets", "SELECT"),
        ("api_keys", "SELECT"),
        ("audit", "SELECT"),
        ("audit", "INSERT"),
    }
)
"""Rights of a runner without which runs work, but not `clean`, `delete`, upkeep, callbacks, bulks
or signatures."""
_RIGHT: Final = re.compile(r"([A-Z]+)(?: \(([^)]*)\))?")


def rights_in(rights: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each right of a table, and the columns that it is for; none for the whole table."""
    for right, columns in _RIGHT.findall(rights):
        yield right, tuple(columns.split(", ")) if columns else ()
