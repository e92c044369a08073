"""Say which rights an account of the database needs on one site's tables."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, InputError, SchemaError
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import connect_site
from wpbridge.store.schema.purposes import PURPOSES
from wpbridge.store.structure.granting import account_of, grants

ACCOUNT: Final = "wpbridge@localhost"
"""The account that the statements name unless another is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The statements for one purpose."""

    purpose: str
    about: str
    """What the account can do then."""
    statements: Sequence[str]


def needed(
    settings: Settings, purposes: Sequence[str], *, account: str, creates: bool
) -> Iterator[Rights]:
    """Yield the rights of each purpose; of all with none named. Nothing is changed.

    Args:
        settings: name the site.
        purposes: some of :data:`PURPOSES`.
        account: ``USER@HOST``.
        creates: whether the account makes those of wpbridge's own tables that are missing.

    Raises:
        InputError: there is no such purpose, or the account is no name of one.
        ConfigError: the site is on SQLite, which has no accounts.
        SchemaError: the site lacks tables on which rights are needed.
    """
    if unknown := [one for one in purposes if one not in PURPOSES]:
        raise InputError(f"--for: there is no {unknown[0]}; there are {', '.join(PURPOSES)}")
    name = account_of(account)
    site = resolve(settings, os.environ)
    if site.database.driver == "sqlite":
        raise ConfigError(
            "SQLite has no accounts, so there are no rights to grant: who may write the file, and"
            " its folder, may do everything"
        )
    with closing(connect_site(site)) as way:
        for one in purposes or PURPOSES:
            purpose = PURPOSES[one]
            found = grants(way, purpose, name, creates=creates)
            if found.missing:
                raise SchemaError(
                    f"the site has no tables {', '.join(found.missing)} yet, or the account of"
                    " this command does not see them: run `wpbridge init` with one that may make"
                    " tables, or give --with-create, and the new account makes them itself"
                )
            yield Rights(purpose=one, about=purpose.about, statements=found.statements)
