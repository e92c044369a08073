"""Says how this wpbridge is started once more, by itself or by somebody else.

pip makes a script of the name ``wpbridge``. ``wpbridge.pyz`` unpacks itself and runs from a folder
that Python does not search by itself, so ``python -m wpbridge`` would not find it there.
"""

import sys
from pathlib import Path
from typing import Final

_HOME: Final = Path(__file__).parents[2]
"""The folder in which the package lies: ``site-packages``, a checkout, or what was unpacked."""
_STARTED: Final = _HOME / "__main__.py"
"""The file by which Python runs what ``wpbridge.pyz`` has unpacked. pip installs none."""
NO_EXTRAS: Final = "wpbridge.pyz has no extras: use a wpbridge that pip has installed"
"""What is said where an extra is needed."""


def is_single_file() -> bool:
    """Tell whether this is a ``wpbridge.pyz`` that has unpacked itself."""
    return _STARTED.is_file()


def command() -> tuple[str, ...]:
    """Return the words that start another process of this wpbridge.

    A file of the working folder named like a library's module does not take its place, unless
    wpbridge itself lies in the working folder. Ask early: the working folder may be gone later.
    """
    if is_single_file():
        return (sys.executable, "-P", str(_HOME))
    python = (sys.executable,) if Path.cwd() == _HOME else (sys.executable, "-P")
    return (*python, "-m", "wpbridge")


def command_for_others() -> tuple[str, ...]:
    """Return the words with which another program starts this wpbridge, from any folder.

    These are pip's script, or Python with the ``wpbridge.pyz`` that this process was started with.
    """
    if is_single_file():
        return (sys.executable, str(Path(sys.argv[0]).absolute()))
    script = Path(sys.executable).with_name("wpbridge")
    if script.is_file():
        return (str(script),)
    return (sys.executable, "-P", "-m", "wpbridge")


def extras() -> list[str]:
    """Return the names of all extras, which a ``wpbridge.pyz`` has not."""
    from importlib.metadata import metadata  # noqa: PLC0415 - few ask, and it takes long to load

    return metadata("wpbridge").get_all("Provides-Extra") or []
