"""The settings that a supervisor hands to its workers.

A worker reads no settings of its own. So one that has to be started again after a reload was
refused starts as the others did, whatever has become of the files since.
"""

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from wpbridge.config import Settings
from wpbridge.errors import ConfigError


class _Pickler(pickle.Pickler):
    """Knows the mappings that cannot be changed, which the standard one does not."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MappingProxyType):
            return _fixed, (dict(obj),)
        return NotImplemented


def _fixed(told: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(told)


def packed(settings: Settings, folder: str) -> bytes:
    """Settings for a worker; ``folder``: where its handlers are searched unless they name one."""
    told = io.BytesIO()
    _Pickler(told).dump(replace(settings, handlers_folder=settings.handlers_folder or folder))
    return told.getvalue()


def unpacked(told: str) -> Settings:
    """The settings of a worker, given what its supervisor told: number, link and settings.

    They come from the process that started this one, over a file that only the two can see.
    """
    try:
        with open(int(told.split(":")[2]), "rb") as stream:  # noqa: PTH123 - a descriptor
            found = pickle.load(stream)  # noqa: S301 - from the supervisor alone
    except (LookupError, ValueError, OSError, pickle.UnpicklingError, EOFError):
        found = None
    if not isinstance(found, Settings):
        raise ConfigError("--worker is for the supervisor of `wpbridge work` alone")
    return found


class Folder:
    """The working folder, by the name that it had at the start.

    Releases are often a link: the name leads to the new one when the old one is deleted.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        """``env``: its PWD is the name with links in it, where a shell has set it."""
        self.name = os.getcwd()  # noqa: PTH109 - as it is told
        told = env.get("PWD", "")
        if os.path.isabs(told) and os.path.isdir(told) and os.path.samefile(told, "."):  # noqa: PTH112, PTH117, PTH121
            self.name = told

    def enter(self) -> None:
        """Go where the name leads now; ConfigError where it leads nowhere."""
        try:
            os.chdir(self.name)
        except OSError as error:
            raise ConfigError(f"the working folder {self.name}: {error.strerror}") from None
