"""Processes in namespaces of their own, as containers and hardened hosts have them; needs root."""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

UNSHARE: Final = ("unshare", "--mount", "--propagation", "private")

HIDING: Final = "mount -t proc -o hidepid=2 proc /proc"
"""Processes of other users are not shown, as with ProtectProc=invisible."""


def hidden(uid: int, *, shown_at: Path | None = None) -> list[str]:
    """What starts a command as another user, who sees none but that one's processes.

    Files stay open to it whoever owns them, so that a test's folder need not be the user's.
    ``shown_at``: as in :func:`contained`.
    """
    rights = "+dac_override,+dac_read_search"
    user = (
        f"setpriv --reuid {uid} --regid {uid} --clear-groups"
        f" --inh-caps {rights} --ambient-caps {rights}"
    )
    show = "" if shown_at is None else f"mount --bind /proc {shown_at} && "
    return [*UNSHARE, "sh", "-c", f'{show}{HIDING} && exec {user} "$@"', "hidden"]


def contained(*, has_proc: bool = True, shown_at: Path | None = None) -> list[str]:
    """What starts a command as process 1 of a pid namespace; it dies with what started it.

    ``has_proc``: with a /proc of its own, else with that of the host. ``shown_at``: an empty folder
    where it sees the host's besides, and so the numbers that its processes have there.
    """
    words = ["--pid", "--fork", "--kill-child", *(["--mount-proc"] if has_proc else [])]
    if shown_at is None:
        return [*UNSHARE, *words]
    show = f'mount --bind /proc {shown_at} && exec unshare {" ".join(words)} "$@"'
    return [*UNSHARE, "sh", "-c", show, "contained"]


@functools.cache
def missing_namespaces() -> str | None:
    """Why there are none here; None where there are."""
    if os.geteuid() != 0:
        return "namespaces and other users need root"
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        return "namespaces need unshare and setpriv, of util-linux"
    for words in (hidden(65534), contained()):
        if (why := _refusal([*words, "true"])) is not None:
            return why
    return None


def _refusal(words: Sequence[str]) -> str | None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"
