"""The settings' file: which one it is, and what stands in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.site.value_kinds import expanded, home_of
from wpbridge.system import trusted_files as trust

FILE_NAME: Final = "wpbridge.toml"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file as it was when it was read."""

    path: Path
    text: bytes

    def tables(self) -> dict[str, Any]:
        """Read the text as TOML; ConfigError when it is none."""
        import tomllib  # noqa: PLC0415 - loads only where there is a file

        try:
            return tomllib.loads(self.text.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise ConfigError(f"{self.path} is not UTF-8") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{self.path} is no TOML: {error}") from None


def found_file(
    flags: Mapping[str, object], env: Mapping[str, str], cwd: Path, *, trusted: bool
) -> SettingsFile | None:
    """Read the file that is named, or lies where one is looked for; None where there is none.

    ConfigError when the named one is missing, or one must not be obeyed or cannot be read.
    ``trusted``: it is obeyed whoever may write it.
    """
    named = flags.get("config") or env.get("WPBRIDGE_CONFIG")
    file = _file(named, env, cwd)
    if file is None:
        return None
    welcome = None if named else _owners(_wordpress_folder(flags, env, cwd))
    return SettingsFile(file, _read(file, trusted=trusted, welcome=welcome))


def named_file(file: Path, env: Mapping[str, str], what: str = "the settings file") -> SettingsFile:
    """Read a file that somebody has named. ``what`` it is stands in messages.

    Raises:
        ConfigError: it is missing, cannot be read or must not be obeyed.
    """
    if not file.is_file():
        raise ConfigError(f"{what} {file} does not exist")
    return SettingsFile(file, _read(file, trusted=trust.is_lifted(env), welcome=None, what=what))


def _file(told: object, env: Mapping[str, str], cwd: Path) -> Path | None:
    if told:
        file = expanded(str(told), cwd, env)
        if not file.is_file():
            raise ConfigError(f"the settings file {file} does not exist")
        return file
    places = [cwd / FILE_NAME]
    if (xdg := env.get("XDG_CONFIG_HOME")) or home_of(env):
        places.append(expanded(xdg or "~/.config", cwd, env) / "wpbridge" / FILE_NAME)
    return next((place for place in places if _is_file(place, cwd)), None)


def _is_file(place: Path, cwd: Path) -> bool:
    try:
        if place.is_file():
            return True
        is_there = place.is_symlink() or place.exists()
    except OSError as error:
        # sudo and su leave the working folder as it was, and some leave HOME: another user's.
        what = "go to another folder" if place.parent == cwd else "set HOME to your own folder"
        raise ConfigError(
            f"{place} cannot be looked at: {error.strerror}; {what}, or name a settings file with"
            " --config"
        ) from None
    if is_there:
        # A container's mount of a file that is missing makes a folder of that name.
        raise ConfigError(f"{place} is there and is no file: settings cannot be read from it")
    return False


def _wordpress_folder(
    given: Mapping[str, object], env: Mapping[str, str], cwd: Path
) -> Path | None:
    """Return the WordPress folder that is named, or the one around the working folder."""
    told = given.get("path") or env.get("WPBRIDGE_PATH")
    if told:
        place = expanded(str(told), cwd, env)
        return place.parent if place.is_file() else place
    around = (place for place in (cwd, *cwd.parents) if (place / "wp-config.php").is_file())
    return next(around, None)


def _owners(folder: Path | None) -> frozenset[int]:
    try:
        return frozenset() if folder is None else frozenset({folder.stat().st_uid})
    except OSError:
        # The site's own reading will say what is wrong with it.
        return frozenset()


def _read(
    file: Path,
    *,
    trusted: bool,
    welcome: frozenset[int] | None,
    what: str = "the settings file",
) -> bytes:
    try:
        if trusted:
            return file.read_bytes()
        return trust.read(file, what, welcome=welcome)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
