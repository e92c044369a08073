"""What is built of a checkout: wheel, sdist and wpbridge.pyz; and new environments for them."""

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import assets

ROOT = Path(__file__).parent.parent
EPOCH = "1700000000"
"""SOURCE_DATE_EPOCH: the time that files in an archive have."""


@dataclass(frozen=True, slots=True)
class Distributions:
    """A wheel and an sdist."""

    wheel: Path
    sdist: Path

    @property
    def shipped(self) -> set[str]:
        """The names of the files in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    @property
    def sources(self) -> set[str]:
        """The names of the files in the sdist, below its one folder."""
        with tarfile.open(self.sdist) as archive:
            return {member.name.partition("/")[2] for member in archive if member.isfile()}

    def metadata(self) -> str:
        """The wheel's own description."""
        with zipfile.ZipFile(self.wheel) as archive:
            [name] = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
            return archive.read(name).decode()


def build(root: Path, folder: Path, *, path: str | None = None) -> Distributions:
    """Build both of a tree, with the programs that PATH names, or ``path``."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    env |= {} if path is None else {"PATH": path}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=root,
        env=env,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, sdist)


def unpacked(sdist: Path, folder: Path) -> Path:
    """The tree in an sdist."""
    with tarfile.open(sdist) as archive:
        # Python before 3.11.4 has no filter; the archive is our own.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(folder)  # noqa: S202 - the line above has the filter
    [tree] = folder.glob("wpbridge-*/")
    return tree


def package_files() -> set[str] | None:
    """The files that git has of the package, and those that are built; None outside of git.

    What pages take from npm is named by files that only the build needs.
    """
    if not (ROOT / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "ls-files", "wpbridge"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    built = {str(assets.BUILT / name) for name in assets.FILES.values()}
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()} | built


def environment(folder: Path, *wanted: str | Path) -> Path:
    """Make a new environment with these packages and what they need; returns its ``bin``.

    Raises subprocess.CalledProcessError where pip cannot install them.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", folder / "bin" / "python"),
            *("install", "--quiet", "--disable-pip-version-check", *wanted),
        ],
        check=True,
    )
    return folder / "bin"
