"""What a supervisor hands to its workers, so that they read no settings file of their own.

One that has to be started again after a reload was refused starts as the others did, whatever has
become of the file since. Flags and environment are the supervisor's own.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings, SettingsFile, combine, working_folder


def packed(
    settings: Settings, folder: str, *, wake_address: str = "", web_descriptor: int | None = None
) -> bytes:
    """What a worker needs.

    Args:
        settings: those that it runs with.
        folder: where its handlers are searched unless they name one.
        wake_address: where its supervisor hears wakes.
        web_descriptor: of the socket at which the gateway listens.
    """
    file = settings.file
    told = {
        "cwd": str(working_folder()),
        "folder": folder,
        "wake_address": wake_address,
        "web_descriptor": web_descriptor,
        "file": None if file is None else [str(file.path), file.text.decode()],
    }
    return json.dumps(told).encode()


def unpacked(told: str, flags: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """The settings of a worker.

    Args:
        told: what its supervisor told: its number, and the descriptors of its link and of the
            file with what is handed to it.
        flags: the command's and the group's.
        env: the environment.
    """
    try:
        with open(int(told.split(":")[2]), "rb") as stream:  # noqa: PTH123 - a descriptor
            found = json.load(stream)
        folder, cwd, file = found["folder"], Path(found["cwd"]), found["file"]
        wake_address, descriptor = str(found["wake_address"]), found["web_descriptor"]
        read = None if file is None else SettingsFile(Path(file[0]), file[1].encode())
    except (LookupError, TypeError, ValueError, OSError):
        raise ConfigError("--worker is for the supervisor of `wpbridge work` alone") from None
    settings = combine(flags, env, cwd, read)
    return replace(
        settings,
        handlers_folder=settings.handlers_folder or folder,
        wake_address=wake_address,
        web_descriptor=descriptor,
    )


class Folder:
    """The working folder, by the name that it had at the start.

    Releases are often a link: the name leads to the new one when the old one is deleted.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        """``env``: its PWD is the name with links in it, where a shell has set it.

        ConfigError where the folder is gone already.
        """
        self.name = str(working_folder())
        told = Path(env.get("PWD", ""))
        if told.is_absolute() and told.is_dir() and told.samefile("."):
            self.name = str(told)

    def enter(self) -> None:
        """Go where the name leads now; ConfigError where it leads nowhere."""
        try:
            os.chdir(self.name)
        except OSError as error:
            raise ConfigError(f"the working folder {self.name}: {error.strerror}") from None
