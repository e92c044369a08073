"""The export list is the API."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import wpbridge
from wpbridge.deprecated import register


def test_every_public_name_is_there() -> None:
    assert wpbridge.__all__ == sorted(wpbridge.__all__)
    for name in wpbridge.__all__:
        assert getattr(wpbridge, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(wpbridge, "nonsense")


@pytest.mark.parametrize(
    "room", sorted(register.MOVED_NAMES.keys() - register.MOVED_MODULES.keys())
)
def test_a_fresh_process_imports_the_modules_of_a_room_that_was_a_module(room: str) -> None:
    modules = [one.name for one in pkgutil.iter_modules(importlib.import_module(room).__path__)]
    assert modules
    code = f"from {room} import {', '.join(modules)}"
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
