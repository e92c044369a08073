"""Connect to a database server, handle its errors, and hide what each kind does its own way."""

from typing import Final

DOOR: Final = (
    "args_columns",
    "borrowed",
    "client",
    "connection",
    "dialect",
    "mysql",
    "mysql_engine",
    "named_lock",
    "portions",
    "session",
    "sqlite",
    "texts",
    "trouble",
)
"""The modules that other rooms may import."""
