"""The bill of materials of a wheel with its libraries, as CycloneDX.

The tool cyclonedx-py describes an environment that has just the wheel and what it needs. What it
cannot know is added here: htmx, which is in the wheel, and licences that a package does not name.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import assets

SPECIFICATION: Final = "1.6"
LICENCES: Final = {"protobuf": "BSD-3-Clause"}
"""Of packages whose own description names none, as their file LICENSE says."""


class NoBill(Exception):
    """The bill could not be made, or says too little."""


def write(root: Path, wheel: Path, extras: Sequence[str], file: Path) -> None:
    """Write the bill of a wheel with these extras.

    Args:
        root: the tree of which the wheel was built.
        wheel: the wheel.
        extras: the extras to install, too.
        file: where the bill is written.

    Raises:
        NoBill: pip could not install the wheel, a licence is not known, or the bill is no valid
            CycloneDX.
    """
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        python = Path(folder, "bin", "python")
        _run(
            *(sys.executable, "-m", "pip", "--python", python, "install", "-q"),
            # pycurl would need headers; there are wheels of it.
            *("--disable-pip-version-check", "--only-binary", "pycurl"),
            f"{wheel}[{','.join(extras)}]" if extras else wheel,
        )
        told = _run(
            *(sys.executable, "-m", "cyclonedx_py", "environment", python),
            *("--pyproject", root / "pyproject.toml", "--mc-type", "application"),
            *("--output-reproducible", "--spec-version", SPECIFICATION, "--output-format", "JSON"),
        )
    bill = json.loads(told)
    complete(bill, version, _htmx(root))
    text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    fault = JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION)).validate_str(text)
    if fault is not None:
        raise NoBill(f"the bill of materials is no CycloneDX {SPECIFICATION}: {fault}")
    file.write_text(text, "utf-8")


def complete(bill: dict[str, Any], version: str, htmx: str) -> None:
    """Add what the tool cannot know; raises NoBill for a component without a licence."""
    bill["metadata"]["component"]["version"] = version
    reference = f"htmx.org=={htmx}"
    bill["components"].append(
        {
            "bom-ref": reference,
            "type": "library",
            "name": "htmx.org",
            "version": htmx,
            "purl": f"pkg:npm/htmx.org@{htmx}",
            "licenses": [{"license": {"id": "0BSD", "acknowledgement": "declared"}}],
        }
    )
    [own] = [one for one in bill["dependencies"] if one["ref"] == "root-component"]
    own["dependsOn"] = sorted([*own.get("dependsOn", ()), reference])
    bill["dependencies"].append({"ref": reference})
    for one in bill["components"]:
        if not one.get("licenses") and one["name"] in LICENCES:
            one["licenses"] = [{"license": {"id": LICENCES[one["name"]]}}]
        # The root is a component of its own, and the environment has it once more.
        if not one.get("licenses"):
            raise NoBill(f"{one['name']} names no licence: look, and add it to LICENCES")


def _htmx(root: Path) -> str:
    lock = json.loads((root / assets.PAGES / "assets" / "package-lock.json").read_text("utf-8"))
    return str(lock["packages"]["node_modules/htmx.org"]["version"])


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoBill((done.stderr or done.stdout).strip()[-2000:])
    return done.stdout
