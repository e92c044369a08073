"""Makes a release: `scripts/release VERSION [--dry-run]`. It uploads nothing.

Everything is made in a clone in a temporary folder: the commit with the new version, the tag, and
the files. Only when all of it is there, the checkout gets the files, the commit and the tag. So a
failure before that leaves the checkout as it was, and one after it is undone.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import assets
import sbom
from project import extras_with_wheels, version_of
from wpbridge.deprecated.register import DEPRECATED, is_due, numbers_of

ROOT: Final = Path(__file__).resolve().parent.parent
MAIN: Final = "main"
INIT: Final = Path("wpbridge", "__init__.py")
DOCKERFILE: Final = Path("wpbridge", "deploy", "docker", "Dockerfile")
CHANGELOG: Final = Path("CHANGELOG.md")
COPIES: Final = (
    Path("clients", "typescript", "package.json"),
    Path("clients", "typescript", "package-lock.json"),
    Path("docs", "reference", "clients.md"),
)
"""Files that repeat the version because npm and its readers want it."""
SECTIONS: Final = ("Security", "Removed", "Deprecated", "Added", "Changed", "Fixed")
"""Their order in the changelog."""
SUMS: Final = "SHA256SUMS"
NOTES: Final = "RELEASE-NOTES.md"


class Refused(Exception):
    """The release cannot be made; the checkout is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be made."""

    version: str
    is_dry: bool = False
    is_quick: bool = False
    """Only wheel, sdist, notes and checksums; no tests. Only a dry run may be quick."""
    output: Path | None = None
    """The folder in which the folder of the release is put. None: dist/, or nowhere if dry."""

    @property
    def tag(self) -> str:
        """Return the name of the tag."""
        return f"v{self.version}"

    @property
    def folder(self) -> str:
        """Return the name of the folder of the release."""
        return f"wpbridge-{self.version}"


def make(root: Path, wish: Wish) -> list[Path]:
    """Make a release of a checkout; returns its files, in a dry run without a folder none.

    Raises:
        Refused: something is missing, or a step has failed.
    """
    check(root, wish)
    if not wish.is_quick:
        run_tests(root)
    with tempfile.TemporaryDirectory(prefix="wpbridge-release-") as name:
        work, files = Path(name, "tree"), Path(name, wish.folder)
        git(root, "clone", "--quiet", "--shared", "--branch", MAIN, str(root), str(work))
        lend_assets(root, work)
        prepare(work, wish)
        files.mkdir()
        build(work, files, wish, Path(name, "again"))
        git(work, "tag", "--annotate", wish.tag, "--file", str(message_of(files, wish)))
        if wish.is_dry:
            return hand_over(files, wish.output) if wish.output is not None else []
        return publish_here(root, work, files, wish)


# What must be so


def check(root: Path, wish: Wish) -> None:
    """Refuse what a release must not be made of."""
    if wish.is_quick and not wish.is_dry:
        raise Refused("--quick leaves out the tests: it is for --dry-run alone")
    if not re.fullmatch(r"\d+\.\d+\.\d+", wish.version):
        raise Refused(f"{wish.version} is no version such as 1.2.3")
    before = version_of(root)
    if numbers_of(wish.version) <= numbers_of(before):
        raise Refused(f"{wish.version} is not above {before}")
    branch = git(root, "rev-parse", "--abbrev-ref", "HEAD")
    if branch != MAIN:
        raise Refused(f"this is the branch {branch}: releases are made on {MAIN}")
    if changed := git(root, "status", "--porcelain"):
        raise Refused(f"the checkout has changes; commit them first:\n{changed}")
    if git(root, "tag", "--list", wish.tag):
        raise Refused(f"there is a tag {wish.tag} already")
    _check_changelog((root / CHANGELOG).read_text("utf-8"), before, wish.version)
    if due := [one.name for one in DEPRECATED if is_due(one, wish.version)]:
        raise Refused(f"{wish.version} must not have these names any more: {', '.join(due)}")


def _check_changelog(text: str, before: str, version: str) -> None:
    titles = re.findall(r"^### (.+)$", unreleased(text), re.MULTILINE)
    if not titles:
        raise Refused("the changelog has nothing below Unreleased")
    if titles != [title for title in SECTIONS if title in titles]:
        raise Refused(f"the changelog's sections are {', '.join(SECTIONS)}, in this order, once")
    is_major = numbers_of(version)[0] > numbers_of(before)[0]
    if "Removed" in titles and not is_major:
        raise Refused("only a new major release removes names: see docs/reference/compatibility.md")


def run_tests(root: Path) -> None:
    """Run what CI runs."""
    _call(root, root / ".ci" / "run", words="the tests have failed", shows=True)


# The commit


def prepare(work: Path, wish: Wish) -> None:
    """Commit the new version, its section of the changelog, and the record of public names."""
    before = version_of(work)
    _replace(work / INIT, f'__version__ = "{before}"', f'__version__ = "{wish.version}"')
    # What an image takes from the index, where it is not built of a checkout.
    _replace(work / DOCKERFILE, f"ARG VERSION={before}", f"ARG VERSION={wish.version}")
    for copy in COPIES:
        _replace_version(work / copy, wish.version)
    changelog = (work / CHANGELOG).read_text("utf-8")
    today = _moment().strftime("%Y-%m-%d")
    head = f"## Unreleased\n\n## {wish.version} - {today}\n"
    (work / CHANGELOG).write_text(changelog.replace("## Unreleased\n", head, 1), "utf-8")
    env = {**os.environ, "PYTHONPATH": str(work)}
    _call(work, sys.executable, "scripts/surface.py", words="no public names", env=env)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", f"Release {wish.version}")


def unreleased(changelog: str) -> str:
    """Return what stands below the heading Unreleased."""
    return section(changelog, "Unreleased")


def section(changelog: str, title: str) -> str:
    """Return what stands below the heading of a release; Refused where there is none."""
    pattern = rf"^## {re.escape(title)}(?: - \S+)?\n(.*?)(?=^## |\Z)"
    found = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise Refused(f"the changelog has no section {title}")
    return found[1].strip()


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    if text.count(old) != 1:
        raise Refused(f"{file.name} has {old!r} {text.count(old)} times instead of once")
    file.write_text(text.replace(old, new), "utf-8")


def _replace_version(file: Path, version: str) -> None:
    """Write the version where the client's own stands: its first mentions in npm's files."""
    text = file.read_text("utf-8")
    if file.suffix == ".md":
        new = re.sub(r"wpbridge-client-\d+\.\d+\.\d+\.tgz", f"wpbridge-client-{version}.tgz", text)
    else:
        # The lock repeats it for the package itself, before any other package.
        times = 2 if file.name == "package-lock.json" else 1
        new = re.sub(r'"version": "[^"]+"', f'"version": "{version}"', text, count=times)
    file.write_text(new, "utf-8")


def _moment() -> datetime:
    """The moment of the release: now, or what git is told."""
    told = os.environ.get("GIT_COMMITTER_DATE")
    return datetime.fromisoformat(told) if told else datetime.now(UTC)


# The files


def build(work: Path, files: Path, wish: Wish, again: Path) -> None:
    """Make all files of the release, and compare what is built with that of a second clone."""
    epoch = git(work, "log", "-1", "--format=%ct")
    packages(work, files, epoch)
    git(work, "clone", "--quiet", "--shared", str(work), str(again))
    lend_assets(work, again)
    second = again.parent / "second"
    packages(again, second, epoch)
    if not wish.is_quick:
        for tree, folder in ((work, files), (again, second)):
            single_file(tree, folder)
    for file in sorted(second.iterdir()):
        if file.read_bytes() != (files / file.name).read_bytes():
            raise Refused(f"{file.name} is not the same when it is built twice")
    _call(
        *(work, sys.executable, "-m", "twine", "--no-color", "check", "--strict"),
        *(str(file) for file in sorted(files.iterdir()) if is_package(file)),
        words="an index would refuse it",
    )
    if not wish.is_quick:
        bills(work, files)
    notes = section((work / CHANGELOG).read_text("utf-8"), wish.version)
    (files / NOTES).write_text(f"# wpbridge {wish.version}\n\n{notes}\n", "utf-8")
    sums = "".join(f"{_sha256(file)}  {file.name}\n" for file in sorted(files.iterdir()))
    (files / SUMS).write_text(sums, "utf-8")


def packages(tree: Path, folder: Path, epoch: str) -> None:
    """Build wheel and sdist of a tree; all times in them are the commit's."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    _call(
        *(tree, sys.executable, "-m", "hatchling", "build", "-d", str(folder)),
        words="wheel and sdist cannot be built",
        env=env,
    )


def single_file(tree: Path, folder: Path) -> None:
    """Build wpbridge.pyz of a tree."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    _call(
        *(tree, sys.executable, "scripts/pyz.py", str(folder)),
        words="wpbridge.pyz cannot be built",
        env=env,
    )


def is_package(file: Path) -> bool:
    """Tell whether an index takes a file: it is the wheel or the sdist."""
    return file.suffix in {".whl", ".gz"}


def bills(work: Path, files: Path) -> None:
    """Write the bills of materials of the wheel, of the base and with all extras."""
    [wheel] = files.glob("*.whl")
    version = wheel.name.split("-")[1]
    try:
        sbom.write(work, wheel, (), files / f"wpbridge-{version}.cdx.json")
        extras = extras_with_wheels(work)
        sbom.write(work, wheel, extras, files / f"wpbridge-{version}-all-extras.cdx.json")
    except sbom.NoBill as error:
        raise Refused(str(error)) from error


def message_of(files: Path, wish: Wish) -> Path:
    """Write the message of the tag: the checksums, so that a signed tag vouches for the files."""
    place = files.parent / "tag-message"
    sums = (files / SUMS).read_text("utf-8")
    place.write_text(f"wpbridge {wish.version}\n\n{sums}", "utf-8")
    return place


def lend_assets(root: Path, tree: Path) -> None:
    """Give a clone what pages take from npm, if it is there already in the version of its lock."""
    if assets.is_built(root):
        shutil.copytree(root / assets.BUILT, tree / assets.BUILT)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# Into the checkout


def hand_over(files: Path, folder: Path) -> list[Path]:
    """Put the folder of the release into another one, whole or not at all."""
    place = folder / files.name
    if place.exists():
        raise Refused(f"{place} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{files.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(files, part)
    part.rename(place)
    return sorted(place.iterdir())


def publish_here(root: Path, work: Path, files: Path, wish: Wish) -> list[Path]:
    """Give the checkout the files, the commit and the tag; after a failure it has none of them."""
    folder = wish.output or root / "dist"
    before = git(root, "rev-parse", "HEAD")
    # The tests took long. What was changed meanwhile would be lost if the release is undone.
    if changed := git(root, "status", "--porcelain"):
        raise Refused(f"the checkout was changed meanwhile:\n{changed}")
    with ExitStack() as undo:
        made = hand_over(files, folder)
        undo.callback(shutil.rmtree, folder / files.name)
        undo.callback(git, root, "reset", "--quiet", "--hard", before)
        git(root, "pull", "--quiet", "--ff-only", "--no-tags", str(work), MAIN)
        git(root, "fetch", "--quiet", str(work), f"refs/tags/{wish.tag}:refs/tags/{wish.tag}")
        undo.pop_all()
    return made


def next_steps(wish: Wish, files: list[Path]) -> Iterator[str]:
    """Yield what is left to do, as commands."""
    yield f"git push origin {MAIN} {wish.tag}"
    yield f"twine upload {' '.join(map(str, filter(is_package, files)))}"
    yield f"publish the other files with {NOTES} as the notes of {wish.tag}"


# Programs


def git(tree: Path, *words: str) -> str:
    """Run git in a tree; returns what it says."""
    return _call(tree, "git", *words, words=f"git {words[0]} has failed")


def _call(
    tree: Path,
    *command: str | Path,
    words: str,
    env: dict[str, str] | None = None,
    shows: bool = False,
) -> str:
    """Run a program; raises Refused with ``words`` and the end of its output."""
    done = subprocess.run(
        command, cwd=tree, env=env, capture_output=not shows, text=True, check=False
    )
    if done.returncode:
        told = "" if shows else f": {(done.stderr or done.stdout).strip()[-2000:]}"
        raise Refused(f"{words}{told}")
    return (done.stdout or "").strip()


def main(arguments: list[str], say: Callable[[str], object] = print) -> int:
    """Make the release that the arguments mean; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--dry-run", action="store_true", help="make it all, and change nothing")
    parser.add_argument(
        "--quick", action="store_true", help="no tests, bills and pyz; with --dry-run"
    )
    parser.add_argument("--output", type=Path, help="where its folder is put (dist)")
    told = parser.parse_args(arguments)
    wish = Wish(
        version=told.version,
        is_dry=told.dry_run,
        is_quick=told.quick,
        output=told.output.absolute() if told.output else None,
    )
    try:
        files = make(ROOT, wish)
    except Refused as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    for file in files:
        say(str(file))
    if wish.is_dry:
        say(f"{wish.tag} could be released; nothing was changed")
    else:
        for line in next_steps(wish, files):
            say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
