"""scripts/release on a copy of this checkout: what it refuses, makes, and leaves when it fails."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assets
import release
import sbom
from conftest import needs
from project import version_of
from release import NOTES, SUMS, Refused, Wish
from wpbridge import __version__
from wpbridge.deprecated.register import numbers_of

ROOT = Path(__file__).parent.parent.parent
MOMENT = "2027-01-02T03:04:05+00:00"
MAJOR, MINOR, _ = numbers_of(__version__)
NEXT = f"{MAJOR}.{MINOR + 1}.0" if MAJOR else "1.0.0"


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def state(tree: Path) -> list[str]:
    """All that a release changes, and all that it could leave behind."""
    return [
        git(tree, "rev-parse", "HEAD"),
        git(tree, "tag"),
        git(tree, "status", "--porcelain", "--ignored"),
        git(tree, "worktree", "list"),
        git(tree, "for-each-ref"),
    ]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this checkout's files as they are, on main."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    if not assets.is_built(ROOT):
        needs("the pages' htmx is not built: scripts/setup")
    tree = tmp_path_factory.mktemp("original")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    changelog = tree / "CHANGELOG.md"
    text = changelog.read_text("utf-8")
    if not release.unreleased(text):
        # Right after a release there is nothing to release.
        entry = "## Unreleased\n\n### Fixed\n\n- One thing.\n"
        changelog.write_text(text.replace("## Unreleased\n", entry, 1), "utf-8")
    git(tree, "init", "--quiet", "--initial-branch", release.MAIN)
    git(tree, "config", "user.name", "Release")
    git(tree, "config", "user.email", "release@example.org")
    git(tree, "config", "gc.auto", "0")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "All")
    shutil.copytree(ROOT / assets.BUILT, tree / assets.BUILT)
    return tree


@pytest.fixture
def tree(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it, in which a test may do what it likes."""
    place = tmp_path / "tree"
    git(tmp_path, "clone", "--quiet", "--shared", str(original), str(place))
    git(place, "remote", "remove", "origin")
    shutil.copytree(original / assets.BUILT, place / assets.BUILT)
    monkeypatch.setenv("GIT_COMMITTER_DATE", MOMENT)
    monkeypatch.setenv("GIT_AUTHOR_DATE", MOMENT)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Release")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "release@example.org")
    return place


def dry(output: Path | None = None) -> Wish:
    return Wish(version=NEXT, is_dry=True, is_quick=True, output=output)


# A dry run


@pytest.fixture(scope="module")
def made(original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of two quick dry runs of one commit, and that the checkout is as it was."""
    folder = tmp_path_factory.mktemp("made")
    before = state(original)
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_DATE", MOMENT)
        for name in ("one", "two"):
            release.make(original, dry(folder / name))
    assert state(original) == before
    return folder / "one" / f"wpbridge-{NEXT}", folder / "two" / f"wpbridge-{NEXT}"


def test_the_same_commit_gives_the_same_bytes(made: tuple[Path, Path]) -> None:
    one, two = made
    names = [file.name for file in sorted(one.iterdir())]
    assert names == [file.name for file in sorted(two.iterdir())]
    assert names == sorted(
        [NOTES, SUMS, f"wpbridge-{NEXT}-py3-none-any.whl", f"wpbridge-{NEXT}.tar.gz"]
    )
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_the_checksums_are_those_of_the_files(made: tuple[Path, Path]) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=made[0], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    lines = (made[0] / SUMS).read_text().splitlines()
    assert {line.split()[1] for line in lines} == {f.name for f in made[0].iterdir()} - {SUMS}


def test_the_new_version_is_in_all_that_was_made(made: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(made[0] / f"wpbridge-{NEXT}-py3-none-any.whl") as wheel:
        assert f'__version__ = "{NEXT}"' in wheel.read("wpbridge/__init__.py").decode()
        [name] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        assert f"\nVersion: {NEXT}\n" in wheel.read(name).decode()
        # The time in an archive is even seconds of the commit's.
        assert {info.date_time for info in wheel.infolist()} == {(2027, 1, 2, 3, 4, 4)}
    with tarfile.open(made[0] / f"wpbridge-{NEXT}.tar.gz") as sdist:
        member = sdist.extractfile(f"wpbridge-{NEXT}/CHANGELOG.md")
        assert member is not None
        text = member.read().decode()
    assert f"## Unreleased\n\n## {NEXT} - 2027-01-02\n\n### " in text


def test_the_notes_are_the_changelogs_section(original: Path, made: tuple[Path, Path]) -> None:
    notes = (made[0] / NOTES).read_text("utf-8")
    assert notes.startswith(f"# wpbridge {NEXT}\n\n### ")
    assert release.unreleased((original / "CHANGELOG.md").read_text("utf-8")) in notes
    assert "\n## " not in notes


@pytest.mark.long
def test_a_whole_dry_run(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "run_tests", lambda _root: None)
    before = state(tree)
    made = release.make(tree, Wish(version=NEXT, is_dry=True, output=tmp_path / "out"))
    assert state(tree) == before
    assert "wpbridge.pyz" in {file.name for file in made}
    bills = {file.name: json.loads(file.read_text()) for file in made if file.suffix == ".json"}
    base, everything = (
        bills[f"wpbridge-{NEXT}.cdx.json"],
        bills[f"wpbridge-{NEXT}-all-extras.cdx.json"],
    )
    for bill in (base, everything):
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        own = bill["metadata"]["component"]
        assert (own["name"], own["version"]) == ("wpbridge", NEXT)
        assert all(one["licenses"] for one in bill["components"])
        assert "htmx.org" in names_of(bill)
        assert not {"pip", "setuptools"} & names_of(bill)
    assert {"PyMySQL", "click", "rich", "PyYAML", "requests", "tzdata"} <= names_of(base)
    assert "starlette" not in names_of(base)
    assert {"starlette", "celery", "boto3", "sentry-sdk", "cryptography", "mcp"} <= names_of(
        everything
    )


def names_of(bill: dict[str, list[dict[str, str]]]) -> set[str]:
    return {one["name"] for one in bill["components"]}


# A release


def test_a_release_gives_the_checkout_files_commit_and_tag(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(release, "run_tests", lambda _root: steps.append("tests"))
    monkeypatch.setattr(release, "single_file", lambda *_: steps.append("pyz"))
    monkeypatch.setattr(release, "bills", lambda *_: steps.append("bills"))
    before = git(tree, "rev-parse", "HEAD")
    files = release.make(tree, Wish(version=NEXT))
    assert steps == ["tests", "pyz", "pyz", "bills"]
    assert {file.parent for file in files} == {tree / "dist" / f"wpbridge-{NEXT}"}
    assert git(tree, "rev-parse", "HEAD~1") == before
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "describe") == f"v{NEXT}", "the tag is annotated, and is the commit's"
    message = git(tree, "tag", "--list", "--format=%(contents)", f"v{NEXT}")
    for file in files:
        if file.name != SUMS:
            assert f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" in message
    assert version_of(tree) == NEXT
    changed = set(git(tree, "diff", "--name-only", "HEAD~1").splitlines())
    assert {"CHANGELOG.md", str(release.DOCKERFILE), "wpbridge/__init__.py"} <= changed
    assert all(
        name.startswith("tests/surface/") or Path(name) in release.COPIES
        for name in changed - {"CHANGELOG.md", str(release.DOCKERFILE), "wpbridge/__init__.py"}
    )
    steps = list(release.next_steps(Wish(version=NEXT), files))
    assert steps[0] == f"git push origin main v{NEXT}"
    assert [Path(word).suffix for word in steps[1].split()[2:]] == [".whl", ".gz"]


# What it refuses


def dirty(tree: Path) -> None:
    (tree / "new.txt").write_text("not committed")


def elsewhere(tree: Path) -> None:
    git(tree, "switch", "--quiet", "--create", "work")


def tagged(tree: Path) -> None:
    git(tree, "tag", f"v{NEXT}")


def changed_changelog(change: Callable[[str], str]) -> Callable[[Path], None]:
    def do(tree: Path) -> None:
        file = tree / "CHANGELOG.md"
        file.write_text(change(file.read_text("utf-8")), "utf-8")
        git(tree, "commit", "--quiet", "--all", "--message", "Changelog")

    return do


def nothing_to_say(text: str) -> str:
    return text.replace(release.unreleased(text), "")


def in_another_order(text: str) -> str:
    return text.replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- One.\n")


@pytest.mark.parametrize(
    ("harm", "version", "reason"),
    [
        (dirty, NEXT, r"has changes; commit them first:\n\?\? new.txt"),
        (elsewhere, NEXT, "the branch work"),
        (tagged, NEXT, f"there is a tag v{NEXT} already"),
        (changed_changelog(nothing_to_say), NEXT, "nothing below Unreleased"),
        (changed_changelog(in_another_order), NEXT, "in this order, once"),
        (lambda _: None, __version__, "is not above"),
        (lambda _: None, "1.0", "no version such as"),
        (lambda _: None, "1.0.0rc1", "no version such as"),
        (lambda _: None, "2.0.0", r"must not have these names any more: wpbridge\.companion"),
    ],
)
def test_what_a_release_is_not_made_of(
    tree: Path, harm: Callable[[Path], None], version: str, reason: str
) -> None:
    harm(tree)
    before = state(tree)
    with pytest.raises(Refused, match=reason):
        release.make(tree, Wish(version=version, is_dry=True, is_quick=True))
    assert state(tree) == before


def test_a_minor_release_removes_nothing() -> None:
    text = "# Changelog\n\n## Unreleased\n\n### Removed\n\n- All.\n"
    with pytest.raises(Refused, match="only a new major release removes names"):
        release._check_changelog(text, "1.2.0", "1.3.0")
    release._check_changelog(text, "1.2.0", "2.0.0")


def test_a_real_release_cannot_leave_out_the_tests(tree: Path) -> None:
    with pytest.raises(Refused, match="for --dry-run alone"):
        release.make(tree, Wish(version=NEXT, is_quick=True))


# What a failure leaves


def test_tests_that_fail_end_it_before_anything_is_made(tree: Path) -> None:
    (tree / ".ci" / "run").write_text("#!/bin/sh\nexit 1\n")
    git(tree, "commit", "--quiet", "--all", "--message", "Tests fail")
    before = state(tree)
    with pytest.raises(Refused, match="the tests have failed"):
        release.make(tree, Wish(version=NEXT))
    assert state(tree) == before


def test_a_build_that_fails_leaves_nothing(tree: Path) -> None:
    with (tree / "hatch_build.py").open("a") as file:
        file.write("\nraise SystemExit('no build')\n")
    git(tree, "commit", "--quiet", "--all", "--message", "No build")
    before = state(tree)
    with pytest.raises(Refused, match=r"wheel and sdist cannot be built: [^:]*no build"):
        release.make(tree, dry(tree.parent / "out"))
    assert state(tree) == before
    assert not (tree.parent / "out").exists()


def test_builds_that_differ_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = release.packages
    epochs = iter(["1700000000", "1700000002"])
    monkeypatch.setattr(
        release, "packages", lambda tree, folder, _: packages(tree, folder, next(epochs))
    )
    with pytest.raises(Refused, match="is not the same when it is built twice"):
        release.make(tree, dry())


def test_changes_made_meanwhile_are_not_lost(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "run_tests", dirty)
    monkeypatch.setattr(release, "single_file", lambda *_: None)
    monkeypatch.setattr(release, "bills", lambda *_: None)
    with pytest.raises(Refused, match=r"changed meanwhile:\n\?\? new.txt"):
        release.make(tree, Wish(version=NEXT))
    assert (tree / "new.txt").read_text() == "not committed"
    assert not (tree / "dist").exists()


@pytest.mark.parametrize("step", ["refs/heads/", "refs/tags/"])
def test_a_failure_at_the_very_end_is_undone(
    tree: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Git refuses the commit or the tag when all files are there already."""
    monkeypatch.setattr(release, "run_tests", lambda _root: None)
    monkeypatch.setattr(release, "single_file", lambda *_: None)
    monkeypatch.setattr(release, "bills", lambda *_: None)
    hook = tree / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    # Once: what undoes it must not be refused, too.
    hook.write_text(
        f'#!/bin/sh\n[ "$1" = prepared ] || exit 0\ngrep -q " {step}" || exit 0\n'
        f'[ ! -e "{tree}.refused" ] || exit 0\n: > "{tree}.refused"\nexit 1\n'
    )
    hook.chmod(0o755)
    before = state(tree)
    with pytest.raises(Refused, match="has failed"):
        release.make(tree, Wish(version=NEXT))
    assert Path(f"{tree}.refused").exists()
    (tree / "dist").rmdir()
    assert state(tree) == before


# The bill of materials, without an index


def test_a_library_without_a_licence_is_refused() -> None:
    def bill(name: str) -> dict[str, Any]:
        return {
            "metadata": {"component": {"name": "wpbridge"}},
            "components": [{"name": name, "version": "1"}],
            "dependencies": [{"ref": "root-component"}],
        }

    with pytest.raises(sbom.NoBill, match="mystery names no licence"):
        sbom.complete(bill("mystery"), NEXT, "2.0.0")
    known = bill("protobuf")
    sbom.complete(known, NEXT, "2.0.0")
    licences = {one["name"]: one["licenses"] for one in known["components"]}
    assert licences["protobuf"] == [{"license": {"id": "BSD-3-Clause"}}]


# The version


def test_the_client_has_the_version_of_the_package() -> None:
    for copy in release.COPIES:
        text = (ROOT / copy).read_text("utf-8")
        found = re.search(r'"version": "([^"]+)"|wpbridge-client-(\d+\.\d+\.\d+)\.tgz', text)
        assert found is not None
        assert __version__ in found.groups(), copy


def test_the_command_says_what_it_would_release(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/release.py", "0.0.1", "--dry-run", "--quick"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"release: 0.0.1 is not above {__version__}\n"
