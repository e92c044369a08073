"""Finds ``wp-config.php`` and reads it without PHP, up to ``wp-settings.php``.

The statements are followed as PHP would follow them. The reading ends at the first one whose effect
is unknown. The constants that were set before it are certain, since PHP sets each constant once.
Everything else is unknown then.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wpbridge.errors import SiteError
from wpbridge.site.wpconfig.found import NAMES, TABLE_PREFIX, WAYS_OUT, NeedsPhp, WpConfig
from wpbridge.site.wpconfig.functions import status
from wpbridge.site.wpconfig.scope import CONSTANT, FILE, Exit, Leave, NotKnown, Scope, Stop
from wpbridge.site.wpconfig.statements import Statements
from wpbridge.site.wpconfig.tokens import PhpSyntaxError, Source, from_bytes
from wpbridge.site.wpconfig.values import Unknown, Unusual, Value

_MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 12
_STARTERS: Final = {"wp-settings.php", "wp-load.php", "wp-blog-header.php"}
"""Files that start a WordPress."""
CONSTANTS: Final[Mapping[str, Value]] = {
    "DIRECTORY_SEPARATOR": "/",
    "MYSQLI_CLIENT_COMPRESS": 32,
    "MYSQLI_CLIENT_FOUND_ROWS": 2,
    "MYSQLI_CLIENT_IGNORE_SPACE": 256,
    "MYSQLI_CLIENT_INTERACTIVE": 1024,
    "MYSQLI_CLIENT_SSL": 2048,
    "MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT": 64,
    "MYSQLI_CLIENT_SSL_VERIFY_SERVER_CERT": 1 << 30,
    "PHP_EOL": "\n",
}
"""PHP's own constants that configurations use. They are the same in every PHP on this system."""


def find(path: Path) -> tuple[Path, Path]:
    """Return the ``wp-config.php`` of a path, and the folder of ABSPATH.

    The path is the file itself or a WordPress folder. WordPress looks in this folder first, then in
    the one above unless that has a WordPress of its own.

    Raises:
        SiteError: there is no such file.
    """
    file = named(path)
    folder = path.parent if path.is_file() else path
    return file.resolve(), _abspath(folder.resolve())


def named(path: Path) -> Path:
    """Return the file that :func:`find` finds, by a path in which links are not resolved."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise SiteError(f"{path} does not exist; --path names the folder of a WordPress")
    # If the path is a link, the folder above is the one above its target.
    here, above = path / "wp-config.php", path / ".."
    if here.is_file():
        return here
    if (above / "wp-config.php").is_file() and not (above / "wp-settings.php").is_file():
        return above / "wp-config.php"
    raise SiteError(f"{path} has no wp-config.php: is it the root of a WordPress?")


def _abspath(folder: Path) -> Path:
    """Return the folder of ``wp-settings.php``: this one, or the only WordPress below it."""
    if (folder / "wp-settings.php").is_file():
        return folder
    # A file of the host may have this name too.
    below = [settings.parent for settings in folder.glob("*/wp-settings.php")]
    below = [place for place in below if (place / "wp-includes").is_dir()]
    return below[0] if len(below) == 1 else folder


def read(
    path: Path,
    env: Mapping[str, str] | None = None,
    *,
    request: Mapping[str, str | None] = MappingProxyType({}),
) -> WpConfig:
    """Find and read a configuration.

    An unknown value raises an error only when :class:`WpConfig` is asked for it.

    Args:
        path: a WordPress folder, or the configuration file.
        env: the environment that PHP would have. None for that of this process.
        request: the web server's variables that are known, with None for those that it leaves
            unset.

    Raises:
        SiteError: the file is missing, not readable or not PHP.
    """
    file, abspath = find(path)
    constants = {**CONSTANTS, "ABSPATH": f"{abspath}/"}
    scope = Scope(os.environ if env is None else env, request, constants)
    doubt = None
    try:
        _Files(scope, file, abspath).begin()
    except NotKnown as stopped:
        doubt = stopped.doubt
    except OSError as error:
        raise SiteError(f"{file} cannot be read: {error.strerror}") from error
    except PhpSyntaxError as error:
        problem = f"{file} is not valid PHP near line {error.line}: {error}"
        raise NeedsPhp(f"{problem}; repair it or {WAYS_OUT}") from None
    except RecursionError:
        raise NeedsPhp(f"{file} is nested too deeply to be read; {WAYS_OUT}") from None
    return WpConfig(
        file=file,
        abspath=abspath,
        values=_found(scope, doubt),
        doubt=doubt,
        places={name: f"{place}:{line}" for name, (place, line) in scope.places.items()},
    )


def _found(scope: Scope, doubt: Unknown | None) -> dict[str, Value]:
    known = {name: scope.get(CONSTANT, name) for name in NAMES if (CONSTANT, name) in scope.state}
    prefix = scope.variable("table_prefix", (), 0)
    if doubt is None and prefix is not None:
        known[TABLE_PREFIX] = prefix
    return known


class _Files:
    """Runs the files of one configuration, and finds those that it includes."""

    def __init__(self, scope: Scope, file: Path, abspath: Path) -> None:
        self.scope = scope
        self.file = file
        self.abspath = abspath
        self.depth = 0
        scope.include = self.include

    def begin(self) -> None:
        """Run the configuration itself. Raises NotKnown if the reading ends early."""
        try:
            self._run(str(self.file))
        except Stop:
            return
        except Exit as end:
            self.scope.state.clear()
            why = "the program ends here, so WordPress does not start"
            raise NotKnown(end.file, end.line, why) from None

    def include(self, how: str, name: str, line: int) -> None:
        """Do what PHP's statement ``how`` does with a file. NotKnown if that cannot be followed."""
        scope = self.scope
        place = self._place(name, line)
        real = os.path.realpath(place)
        if real == os.path.realpath(self.abspath / "wp-settings.php"):
            raise Stop
        if not self._is_there(real, how, line):
            return
        if Path(real).name in _STARTERS and (Path(real).parent / "wp-includes").exists():
            raise scope.not_known(line, f"it loads {real}, which is part of a WordPress")
        if self.depth >= _MAX_DEPTH:
            raise scope.not_known(line, "files include each other too deeply")
        problem = f"the file {real} that it includes"
        try:
            self._run(real)
        except OSError as error:
            raise scope.not_known(line, f"{problem} cannot be read: {error.strerror}") from None
        except PhpSyntaxError:
            raise scope.not_known(line, f"{problem} is not valid PHP") from None

    def _is_there(self, place: str, how: str, line: int) -> bool:
        """Tell whether there is a file to be included. False if PHP goes on without it."""
        seen = self.scope.get(FILE, place) if how.endswith("_once") else None
        if isinstance(seen, Unknown):
            raise self.scope.not_known(line, f"whether {place} was included before is not known")
        try:
            found = status(place)
        except Unusual:
            raise self.scope.not_known(line, f"nobody here may look for {place}") from None
        if found is None and not how.startswith("include"):
            raise self.scope.not_known(line, f"the file {place} that it includes is not there")
        return found is not None and not seen

    def _place(self, name: str, line: int) -> str:
        here = Path(self.scope.file).parent / name
        # PHP looks in its working folder first and in the file's own folder last. The answer does
        # not depend on the request only if both are WordPress's folder.
        beside = here.parent == self.abspath and here.name == name
        if "\0" in name or not (name.startswith("/") or (beside and here.is_file())):
            why = "where the file that it includes lies depends on PHP's working folder"
            raise self.scope.not_known(line, why)
        return str(here)

    def _run(self, file: str) -> None:
        scope, including = self.scope, self.scope.file
        source = Source.of(_source(Path(file)))
        scope.file, self.depth = file, self.depth + 1
        try:
            scope.state[FILE, file] = True
            statements = Statements(source, scope)
            statements.declare_early()
            statements.run(len(source.tokens))
        except Leave:
            return
        finally:
            scope.file, self.depth = including, self.depth - 1


def _source(file: Path) -> str:
    found = file.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
        raise PhpSyntaxError("it is no file of the size of a configuration", 1)
    source = from_bytes(file.read_bytes())
    if "<?" not in source:
        raise PhpSyntaxError("it has no <?php", 1)
    return source
