"""Decides which database a WordPress uses if ``wp-content/db.php`` replaces its database class.

Constants of the configuration and the text of the drop-in decide. No PHP is run.

- The SQLite plugin's drop-in, and DB_ENGINE ``sqlite``, mean a SQLite file.
- The drop-in of wp-sqlite-db means a SQLite file unless USE_MYSQL is set.
- A drop-in that names another kind of database is refused, because DB_* would be a wrong one.
- All other drop-ins (HyperDB, LudicrousDB, Query Monitor, caches) mean the MySQL server of DB_*.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.errors import SiteError
from wpbridge.site.wpconfig import WpConfig

CURRENT_NAME: Final = ".ht.sqlite"
OLDER_NAME: Final = ".ht.sqlite.php"
"""The name in versions 2.2.18 and 2.2.19 of the SQLite plugin. Later versions rename the file to
the current name, unless a file of that name exists."""
PATH_FILE: Final = "db-path.php"
"""A script that returns the path of the file, which lies in a folder with a random name."""

_WAY_OUT: Final = "name the database with --dsn"
_INTEGRATION: Final = re.compile(r"sqlite-database-integration|SQLITE_DB_DROPIN_VERSION")
_WP_SQLITE_DB: Final = re.compile(
    r"wp[-_]sqlite[-_]db\b|wpsqlitedb|sqlite-integration", re.IGNORECASE
)
"""Matches wp-sqlite-db, and SQLite Integration, from which it comes. Both obey USE_MYSQL."""
_FOREIGN: Final = re.compile(
    r"sqlite|pg4wp|pgsql|postgres|\bpg_p?connect|sqlsrv|mssql|duckdb|\boci_p?connect|mongodb",
    re.IGNORECASE,
)
_COMMENT_OR_TEXT: Final = re.compile(
    r"""/\*.*?\*/|(?://|\#(?!\[))[^\n]*|('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL
)
_INCLUDED: Final = re.compile(
    r"\b(?:require|include)(?:_once)?\b[^;]*?['\"]([^'\"\n]+\.php)['\"]", re.IGNORECASE
)
_MOST_BYTES: Final = 1 << 18
_MOST_FILES: Final = 20


def sqlite_file(config: WpConfig) -> str | None:
    """Return the SQLite file of a WordPress, which may not exist yet. None if it uses MySQL.

    Raises:
        SiteError: the drop-in or DB_ENGINE means a database that wpbridge cannot read or find.
    """
    drop_in = config.content_dir / "db.php"
    said = "\n".join(_texts(drop_in, config))
    engine = (config.text("DB_ENGINE") or config.text("DATABASE_ENGINE") or "").lower()
    if _INTEGRATION.search(said):
        return _of_integration(config, said, engine or "sqlite")
    if _WP_SQLITE_DB.search(said):
        return None if config.flag("USE_MYSQL") else _of_wp_sqlite_db(config)
    foreign = _FOREIGN.search(_without_comments(said))
    if foreign:
        raise SiteError(
            f"{drop_in} speaks of {foreign[0]}: WordPress may use another database than DB_* name;"
            f" {_WAY_OUT}"
        )
    return _of_integration(config, said, engine or "mysql")


def _of_wp_sqlite_db(config: WpConfig) -> str:
    name = config.text("DB_FILE") or CURRENT_NAME
    return _absolute(config, config.text("FQDB") or _root(config) + name)


def _of_integration(config: WpConfig, said: str, engine: str) -> str | None:
    """Find the file by the rules of the SQLite plugin, whose newest one is :data:`PATH_FILE`."""
    if engine == "mysql":
        return None
    if engine != "sqlite":
        raise SiteError(
            f"DB_ENGINE is {engine} in {config.file}: wpbridge reads MySQL, MariaDB and SQLite"
        )
    root, whole, name = _root(config), config.text("FQDB"), config.text("DB_FILE")
    names = [whole or root + (name or CURRENT_NAME)]
    if not name:
        names.append(root + OLDER_NAME)
    if not (name or whole):
        if _keeps_the_older_name(config, said):
            names.reverse()
        path_file = Path(root + PATH_FILE)
        if path_file.is_file():
            # If no file is there yet, the plugin moves a file with an old name to this place.
            names.insert(0, _returned_by(path_file, config))
    found = [_absolute(config, one) for one in names]
    return next(filter(_may_be_there, found), found[0])


def _absolute(config: WpConfig, path: str) -> str:
    """Return a path as an absolute one. A relative path begins in the folder of index.php."""
    if path == ":memory:":
        raise SiteError(
            f"{config.file} keeps the database in PHP's memory: nobody else can read it"
        )
    return path if path.startswith("/") else f"{config.abspath}/{path}"


def _may_be_there(path: str) -> bool:
    """Tell whether a file exists. True also if we have no right to look for it."""
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _root(config: WpConfig) -> str:
    """Return the folder of the file, with a slash at its end."""
    folder = config.text("FQDBDIR")
    if folder is None:
        folder = (config.text("DB_DIR") or f"{config.content_dir}/database").rstrip("/") + "/"
    return _absolute(config, folder)


def _keeps_the_older_name(config: WpConfig, said: str) -> bool:
    """Tell whether the SQLite plugin has one of the versions that use :data:`OLDER_NAME`."""
    folder = "sqlite-database-integration"
    named = re.findall(rf"['\"](/[^'\"\n]*{folder})/?['\"]", said)
    places = [Path(place) for place in named]
    places += [config.content_dir / "plugins" / folder, config.mu_plugins_dir / folder]
    pattern = re.compile(rf"['\"]FQDB['\"][^;]*{re.escape(OLDER_NAME)}")
    for place in places:
        if text := _read(place / "constants.php"):
            return pattern.search(text) is not None
    return False


def _returned_by(file: Path, config: WpConfig) -> str:
    """Return the path that a script returns. Only texts and folders, joined by dots, are read."""
    folders = {
        "__DIR__": f"{file.parent}",
        "dirname(__FILE__)": f"{file.parent}",
        "dirname(__DIR__)": f"{file.parent.parent}",
        "ABSPATH": f"{config.abspath}/",
        "WP_CONTENT_DIR": f"{config.content_dir}",
        "FQDBDIR": _root(config),
    }
    code = _without_comments(_read(file) or "")
    match = re.fullmatch(r"\s*<\?php\s+return\b\s*(.+?)\s*;\s*(?:\?>\s*)?", code, re.DOTALL)
    parts = re.findall(r"'[^'\\]*'|\"[^\"\\$]*\"|[^'\".\s]+|\.|\s+|.", match[1]) if match else []
    parts = [part for part in parts if not part.isspace()]
    found = [folders.get(part, part[1:-1] if part[0] in "'\"" else None) for part in parts[::2]]
    if not found or set(parts[1::2]) - {"."} or len(parts) % 2 == 0 or None in found:
        raise SiteError(f"{file} does not tell plainly where the database is: {_WAY_OUT}")
    return "".join(str(part) for part in found)


def _texts(file: Path, config: WpConfig) -> Iterator[str]:
    """Yield the text of the drop-in, and those of the files that it loads by name."""
    waiting, seen = [file], set[Path]()
    while waiting and len(seen) < _MOST_FILES:
        place = waiting.pop(0)
        text = None if place in seen else _read(place)
        seen.add(place)
        if text is not None:
            yield text
            folders = (place.parent, config.content_dir, config.abspath)
            for name in _INCLUDED.findall(text):
                waiting += [f for folder in folders if (f := folder / name.lstrip("/")).is_file()]


def _read(file: Path) -> str | None:
    """Return a file's text, or None if there is no file. SiteError if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise SiteError(f"{file} cannot be read: {error.strerror}; {_WAY_OUT}") from error


def _without_comments(code: str) -> str:
    return _COMMENT_OR_TEXT.sub(lambda match: match[1] or " ", code)
