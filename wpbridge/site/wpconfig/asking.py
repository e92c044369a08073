"""Has PHP run ``wp-config.php`` and report what it sets.

``config.php`` runs it in a process of its own, as our user, with a stub in the place of
``wp-settings.php``. So no WordPress is loaded and no database is asked. PHP is asked with two
requests, which differ in everything that is unknown about the real one. Values that depend on the
request, or on the way PHP runs, are refused.
"""

import base64
import binascii
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import NotObeyed, SiteError, WpCliError
from wpbridge.site.wpconfig import depends, request
from wpbridge.site.wpconfig.found import NAMES, WpConfig
from wpbridge.site.wpconfig.reading import find, named
from wpbridge.site.wpconfig.tokens import from_bytes
from wpbridge.site.wpconfig.values import Unknown, Value
from wpbridge.system import programs
from wpbridge.system.trusted_files import may_obey

TIMEOUT_SECONDS: Final = 20.0

_PROGRAM: Final = Path(__file__).with_name("config.php")
_OPTIONS: Final = (
    *("-d", "display_errors=stderr", "-d", "log_errors=0", "-d", "variables_order=EGPCS"),
    *("-d", "opcache.enable_cli=0", "-d", "memory_limit=512M"),
    # A trace would show the arguments of calls, and so passwords.
    *("-d", "zend.exception_ignore_args=1"),
)
_REFUSED: Final = {
    "ended": "the configuration ends the program before WordPress would start",
    "wordpress": "the configuration loads another WordPress: name that one with --path",
    "foreign": "others than root may change it, so root does not run it: run wpbridge as the"
    " site's user, or allow it with --ask-php",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    values: Mapping[str, Value]
    files: tuple[str, ...]
    """The files that PHP has loaded, the configuration first."""
    version: str
    ini: str


def program(env: Mapping[str, str]) -> str | None:
    """Return the ``php`` that the environment's PATH names, or None."""
    return shutil.which("php", path=env.get("PATH"))


def ask(
    path: Path,
    env: Mapping[str, str],
    *,
    url: str | None = None,
    trusted: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> WpConfig:
    """Return a site's configuration as PHP sees it, or as WP-CLI reports it if there is no PHP.

    Args:
        path: a WordPress folder, or the configuration file.
        env: the environment for PHP.
        url: the address that the request is for. None if it may be any.
        trusted: allows root to run files that others can change, and to ask ``wp`` where there is
            no ``php``.
        timeout_seconds: how long one run may take.

    Raises:
        SiteError: there is no configuration or no program, or the answer depends on the request.
        WpCliError: the program failed.
    """
    file, abspath = find(path)
    env = {name: value for name, value in env.items() if not name.startswith("WPBRIDGE_")}
    php = program(env)
    if php is None:
        wp_cli = shutil.which("wp", path=env.get("PATH"))
        if wp_cli is None or not trusted:
            raise SiteError("there is neither php nor wp on this machine to be asked; give --dsn")
        values = _from_wp_cli(wp_cli, abspath, env, timeout_seconds)
        return WpConfig(file=file, abspath=abspath, values=values, reader=f"told by {wp_cli}")
    if not trusted:
        _refuse_foreign_links(path, file)
    answers = _Runs(php, file, abspath, env, trusted, timeout_seconds)
    one, two = request.pair(url, abspath)
    first = answers.run(one)
    try:
        second: _Answer | None = answers.run(two)
    except (SiteError, WpCliError):
        second = None
    _refuse_what_depends(first, second, url)
    return WpConfig(
        file=file,
        abspath=abspath,
        values=first.values,
        places=dict.fromkeys(first.values, "PHP"),
        reader=f"told by PHP {first.version} ({php}, {first.ini or 'no php.ini'})",
    )


def _refuse_foreign_links(path: Path, file: Path) -> None:
    """Refuse a configuration that root reaches over a link which others may change.

    Whoever may change the link would choose the file that root runs. PHP is given the real path,
    and judges only that file and the files that it loads.
    """
    if os.geteuid() == 0:
        try:
            may_obey(named(path), "the configuration")
        except NotObeyed:
            raise SiteError(f"{file}: {_REFUSED['foreign']}") from None


@dataclass(frozen=True, slots=True)
class _Runs:
    php: str
    file: Path
    abspath: Path
    env: Mapping[str, str]
    trusted: bool
    timeout_seconds: float

    def run(self, server: Mapping[str, str | None]) -> _Answer:
        """Have PHP run the configuration for one request, and return its answer."""
        mark = secrets.token_hex(16)
        asked = {
            "file": base64.b64encode(os.fsencode(self.file)).decode(),
            "abspath": base64.b64encode(os.fsencode(f"{self.abspath}/")).decode(),
            "names": NAMES,
            "mark": mark,
            "server": server,
            "trusted": self.trusted or os.geteuid() != 0,
        }
        output = programs.run(
            (self.php, *_OPTIONS, _PROGRAM),
            env=self.env,
            stdin=json.dumps(asked).encode(),
            folder=self.abspath,
            timeout_seconds=self.timeout_seconds,
            mark=f"\n{mark}\n".encode(),
        )
        _, _, answered = output.rpartition(f"\n{mark}\n".encode())
        answer = _json(answered.partition(b"\n")[0], "php")
        if reason := answer.get("refused"):
            place = _text(answer["file"]) or str(self.file)
            raise SiteError(f"{place}: {_REFUSED[reason]}")
        values = answer["values"].items()
        return _Answer(
            values={name: _plain(name, value, self.file) for name, value in values},
            files=tuple(_text(name) for name in answer["files"]),
            version=answer["version"],
            ini=answer["ini"],
        )


def _refuse_what_depends(first: _Answer, second: _Answer | None, url: str | None) -> None:
    differing = list(NAMES)
    if second is not None:
        differing = [name for name in NAMES if first.values.get(name) != second.values.get(name)]
    if url and not differing:
        return
    place = depends.first_use(first.files)
    if not differing and place is None:
        return
    what = differing[0] if differing else "the database"
    name_it = "" if url else "name the site with --url, or "
    raise SiteError(
        f"{place or first.files[0]} reads the request or the way PHP runs, and {what} may depend"
        f" on it: {name_it}give the database with --dsn and --table-prefix"
    )


def _plain(name: str, value: object, file: Path) -> Value:
    if isinstance(value, list) and len(value) == 1:
        return _text(value[0])
    if isinstance(value, bool | int | float):
        return value
    return Unknown(str(file), 1, f"PHP has something in {name} that is no text")


def _text(encoded: str) -> str:
    try:
        return from_bytes(base64.b64decode(encoded))
    except (binascii.Error, TypeError):
        raise WpCliError("php answered what cannot be read", exit_code=0) from None


def _from_wp_cli(
    wp_cli: str, abspath: Path, env: Mapping[str, str], timeout_seconds: float
) -> dict[str, Value]:
    command = (wp_cli, "config", "list", f"--path={abspath}", "--format=json", "--no-color")
    output = programs.run(command, env=env, timeout_seconds=timeout_seconds)
    # The output of the configuration itself stands before the answer.
    rows = _json(output[output.rfind(b"[{") :], "wp")
    values = {}
    for row in rows:
        name = f"${row.get('name')}" if row.get("type") == "variable" else row.get("name")
        if name in NAMES:
            values[name] = row.get("value")
    return values


def _json(text: bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # The answer is not shown, since it contains the password.
        raise WpCliError(f"{name} answered no JSON", exit_code=0) from None
