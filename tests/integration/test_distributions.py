"""Wheel and sdist: what is in them, that they are built alike twice, and that the wheel runs."""

import subprocess
import sys
from pathlib import Path

import pytest

import assets
from conftest import needs
from distributions import (
    ROOT,
    Distributions,
    build,
    environment,
    package_files,
    unpacked,
)
from wpbridge import __version__

NOT_SHIPPED = str(assets.PAGES / "assets")
"""What npm is told: the build needs it, the package does not."""
ACTS = """
from pathlib import Path
from wpbridge import hook

@hook("greet")
def greet(name):
    Path("greeted.txt").write_text(name)
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """What is built of this checkout."""
    if not assets.is_built(ROOT) and assets.npm() is None:
        needs("there is no npm, which the pages' htmx comes from")
    return build(ROOT, tmp_path_factory.mktemp("built"))


def test_an_index_would_take_both(built: Distributions) -> None:
    pytest.importorskip("twine", reason="twine is not installed")
    words = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_wheel_has_the_package_and_nothing_else(built: Distributions) -> None:
    wanted = package_files()
    if wanted is None:
        pytest.skip("this is no checkout")
    package = {name for name in built.shipped if ".dist-info/" not in name}
    assert package == {name for name in wanted if not name.startswith(NOT_SHIPPED)}
    kinds = {Path(name).suffix for name in package}
    assert {".py", ".php", ".html", ".css", ".js", ".svg", ".pot", ".service", ".cnf"} <= kinds
    about = {name.partition("/")[2] for name in built.shipped - package}
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_sdist_has_what_a_wheel_is_built_of_and_no_tests(built: Distributions) -> None:
    wanted = package_files()
    if wanted is None:
        pytest.skip("this is no checkout")
    beside = {name for name in built.sources if not name.startswith("wpbridge/")}
    assert built.sources - beside == wanted
    assert beside == {
        *(".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md"),
        *("hatch_build.py", "pyproject.toml", "scripts/assets.py"),
    }


def test_licences_are_named_and_enclosed(built: Distributions, tmp_path: Path) -> None:
    told = built.metadata()
    # MIT is ours, and 0BSD is that of htmx, the one thing of others that is shipped.
    assert "License-Expression: MIT AND 0BSD\n" in told
    assert "License-File: LICENSE\n" in told
    [folder] = {Path(name).parent for name in built.shipped if "/vendor/" in name}
    tree = unpacked(built.sdist, tmp_path)
    assert {file.name for file in (tree / folder).iterdir()} == set(assets.FILES.values())
    assert "Zero-Clause BSD" in (tree / folder / "htmx.LICENSE.txt").read_text("utf-8")
    assert "Programming Language :: Python :: 3.14\n" in told


def test_the_same_bytes_come_of_the_checkout_and_of_the_sdist(
    built: Distributions, tmp_path: Path
) -> None:
    tree = unpacked(built.sdist, tmp_path)
    # There is no npm there, and none is needed.
    again = build(tree, tmp_path / "again", path=str(Path(sys.executable).parent))
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert again.sdist.read_bytes() == built.sdist.read_bytes()


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program as a new user starts it: with nothing of ours in the environment."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_an_empty_environment_runs_it_from_any_folder(built: Distributions, tmp_path: Path) -> None:
    # One test, since it takes seconds to install.
    try:
        programs = environment(tmp_path / "environment", built.wheel)
    except subprocess.CalledProcessError:
        needs("pip cannot install what wpbridge needs: there is no package index")
        raise
    names = {file.name for file in programs.iterdir()}
    assert "wpbridge" in names
    assert not names & {"uvicorn", "celery", "pip"}
    wpbridge = programs / "wpbridge"
    told = run(tmp_path, wpbridge, "--version")
    assert (told.returncode, told.stdout) == (0, f"wpbridge, version {__version__}\n"), told.stderr
    assert "claim-and-run" in run(tmp_path, wpbridge, "--help").stdout
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    (tmp_path / "acts.py").write_text(ACTS, "utf-8")
    for words in (
        ["init", "--dsn", dsn],
        ["enqueue", "greet", "--args", '["world"]', "--dsn", dsn],
        ["claim-and-run", "--dsn", dsn, "--handlers", "acts"],
    ):
        done = run(tmp_path, wpbridge, *words)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("claimed 1, complete 1, failed 0 in ")
    assert (tmp_path / "greeted.txt").read_text("utf-8") == "world"
    for command, extra in (("serve", "web"), ("exporter", "metrics")):
        done = run(tmp_path, wpbridge, command, "--dsn", dsn)
        assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
        assert f"pip install 'wpbridge[{extra}]'" in done.stderr
