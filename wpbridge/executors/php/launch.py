"""The command that starts a PHP worker: through WP-CLI or plain php, here or behind a prefix."""

import base64
import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.system import programs
from wpbridge.system.trusted_files import may_obey

WORKER: Final = Path(__file__).with_name("worker.php")
LAUNCHER: Final = WORKER.with_name("launcher.php")

_PHP: Final = re.compile(r"php[\d.]*")
_WP_CLI: Final = re.compile(r"wp|wp(-cli)?\.phar")
_ALLOWS_ROOT: Final = "--allow-root"
"""WP-CLI's own option for the same consent."""
_CODE: Final = (
    *("wp-config.php", "wp-load.php", "wp-settings.php", "wp-includes", "wp-content"),
    *("wp-content/plugins", "wp-content/mu-plugins", "wp-content/themes"),
)
"""What is looked at of it: not each file, but where an updating WordPress would write."""
_BOOT: Final = "eval(base64_decode(fgets(STDIN)));"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How workers of one blog are started."""

    command: tuple[str, ...]
    """WP-CLI, or php itself, with whatever stands before it."""
    options: tuple[str, ...] = ()
    """``--path=…``, ``--url=…``: for WP-CLI, or for the worker that loads WordPress itself."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_direct(self) -> bool:
        """Without WP-CLI: the command ends with php."""
        return _PHP.fullmatch(Path(self.command[-1]).name) is not None

    @property
    def is_local(self) -> bool:
        """Started on this machine: files and descriptors can be handed over."""
        first = Path(self.command[0]).name
        return len(self.command) == 1 or bool(_PHP.fullmatch(first) or _WP_CLI.fullmatch(first))

    def words(self) -> list[str]:
        """Return the words of the whole command line."""
        if self.is_local:
            through = [] if self.is_direct else ["eval-file"]
            return [*self.command, *through, str(WORKER), *self.options]
        added = ["-r", _BOOT] if self.is_direct else ["eval", _BOOT, "--skip-wordpress"]
        if Path(self.command[0]).name == "ssh":
            # ssh joins its words with spaces, and the other side's shell splits them again.
            added = [shlex.quote(word) for word in added]
        return [*self.command, *added]

    def start(self) -> tuple[programs.Child, bytes]:
        """Start one; returns it, and what it must be sent first.

        WpCliError when the program cannot be started, OSError when our own files cannot be read.
        """
        first = b"" if self.is_local else self._code()
        child = programs.spawn(self.words(), env=self.env, over_stdio=not self.is_local)
        return child, first

    def _code(self) -> bytes:
        """Launcher and worker as text: the other side has no files of ours."""
        worker = WORKER.read_bytes().removeprefix(b"<?php")
        start = {
            "through": "php" if self.is_direct else "wp",
            "options": list(self.options),
            "code": base64.b64encode(worker).decode(),
        }
        launcher = base64.b64encode(LAUNCHER.read_bytes())
        return launcher + b"\n" + json.dumps(start).encode() + b"\n"


def launch(
    command: tuple[str, ...],
    *,
    path: Path | None,
    url: str | None,
    user: str | None,
    skip_plugins: tuple[str, ...],
    env: Mapping[str, str],
    trusted: bool = False,
) -> Launch:
    """How to start workers for a site.

    Args:
        command: WP-CLI's words; empty takes ``wp`` from PATH, else ``php``.
        path: WordPress's folder on this machine; left out behind a prefix, which has its own.
        url: the blog's address.
        user: WordPress user to act as.
        skip_plugins: not to be loaded; ``*`` for all.
        env: the environment; wpbridge's own variables are not passed on.
        trusted: root runs the code of a WordPress that others may change.

    ConfigError when there is no program, a local one has no path, or root would run code that
    others may change.
    """
    found = command or _found(env)
    kept = {name: value for name, value in env.items() if not name.startswith("WPBRIDGE_")}
    start = Launch(command=found, env=kept)
    options = []
    if start.is_local:
        if path is None:
            raise ConfigError("PHP workers need WordPress's folder: name it with --path")
        if not (trusted or _ALLOWS_ROOT in found):
            _refuse_foreign(path)
        options.append(f"--path={path}")
    options += [f"--{name}={value}" for name, value in (("url", url), ("user", user)) if value]
    if "*" in skip_plugins:
        options.append("--skip-plugins")
    elif skip_plugins:
        options.append(f"--skip-plugins={','.join(skip_plugins)}")
    return Launch(command=found, options=tuple(options), env=kept)


def _refuse_foreign(folder: Path) -> None:
    """Root runs no WordPress whose code others may change; anybody else does what he may."""
    if os.geteuid() == 0:
        for place in (folder, *(folder / name for name in _CODE)):
            if place.exists():
                may_obey(place, "the code of WordPress in")


def _found(env: Mapping[str, str]) -> tuple[str, ...]:
    for name in ("wp", "php"):
        if place := shutil.which(name, path=env.get("PATH")):
            return (place,)
    raise ConfigError("neither wp nor php is found: name WP-CLI's command with --wp")
