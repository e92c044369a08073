"""Builds wpbridge.pyz: the wheel of this checkout and the libraries of the base, in one file.

The libraries are the wheels that ``scripts/pyz.lock`` names, by version and checksum. None of
them needs a compiled file: PyYAML does without the one in its wheel, which is left out. The same
checkout gives the same bytes.
"""

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from project import libraries_of, version_of

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "scripts" / "pyz.lock"
NAME: Final = "wpbridge.pyz"
STARTED: Final = b"from wpbridge.cli import main\n\nmain()\n"
"""The file by which Python runs the unpacked folder."""
_SHEBANG: Final = b"#!/usr/bin/env python3\n"
_INSIDE: Final = "site/"
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_COMPILED: Final = (".so", ".pyd")
_ANYWHERE: Final = ("--platform", "any", "--implementation", "py", "--abi", "none")
_PYYAML: Final = (
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--abi", "cp311"),
)
"""PyYAML has no wheel without a compiled file."""
_HEAD: Final = "# What is in wpbridge.pyz. Made by `scripts/pyz --lock`; do not edit.\n"


def build(folder: Path) -> Path:
    """Build the file into a folder; returns its place.

    Raises:
        subprocess.CalledProcessError: pip cannot get a library, or the wheel cannot be built.
    """
    with tempfile.TemporaryDirectory() as name:
        wheels = Path(name)
        _download(wheels)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels],
            cwd=ROOT,
            env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},
            capture_output=True,
            check=True,
        )
        files = dict(sorted((n, c) for w in wheels.glob("*.whl") for n, c in _files(w)))
    files[f"{_INSIDE}__main__.py"] = STARTED
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / NAME
    part = place.with_suffix(".part")
    _write(part, files)
    part.replace(place)
    return place


def _files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a wheel that belong into the folder in which Python searches."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            is_data = name.partition("/")[0].endswith(".data")
            # RECORD names what is left out, and pip is not there to ask it.
            is_record = name.endswith(".dist-info/RECORD")
            if not (is_data or is_record or name.endswith(("/", *_COMPILED))):
                yield f"{_INSIDE}{name}", archive.read(name)


def _write(place: Path, files: Mapping[str, bytes]) -> None:
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    scripts = ROOT / "scripts"
    start = (scripts / "pyz_start.py").read_text("utf-8")
    start = start.replace("@BUILD@", f"{version_of(ROOT)}-{digest.hexdigest()[:16]}")
    first = {
        "__main__.py": (scripts / "pyz_main.py").read_bytes(),
        "pyz_start.py": start.encode(),
    }
    with place.open("wb") as stream:
        stream.write(_SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, content in {**first, **files}.items():
                member = zipfile.ZipInfo(name, _TIME)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(member, content)
    place.chmod(0o755)


# The libraries


def _download(folder: Path) -> None:
    """Fetch the wheels that the lock names; pip compares their checksums."""
    lines = LOCK.read_text("utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    for is_pyyaml in (True, False):
        part = folder / "requirements.txt"
        these = [line for line in wanted if line.startswith("pyyaml==") == is_pyyaml]
        part.write_text("\n".join(these), "utf-8")
        _pip(folder, "--require-hashes", "--no-deps", "-r", str(part), is_pyyaml=is_pyyaml)


def _pip(folder: Path, *wanted: str, is_pyyaml: bool) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--only-binary", ":all:", "--python-version", "3.11", "-d", str(folder)),
            *(_PYYAML if is_pyyaml else _ANYWHERE),
            *wanted,
        ],
        check=True,
    )


def lock() -> None:
    """Write the lock anew, with the newest libraries that fit."""
    told = libraries_of(ROOT)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pyyaml = [one for one in told if one.startswith("pyyaml")]
        _pip(folder, "--no-deps", *pyyaml, is_pyyaml=True)
        _pip(folder, *[one for one in told if one not in pyyaml], is_pyyaml=False)
        lines = []
        for wheel in sorted(folder.glob("*.whl"), key=lambda wheel: wheel.name.lower()):
            package, release = wheel.name.split("-")[:2]
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            name = package.lower().replace("_", "-")
            lines.append(f"{name}=={release} --hash=sha256:{digest}\n")
    LOCK.write_text(_HEAD + "".join(lines), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--lock"]:
        lock()
    else:
        print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
