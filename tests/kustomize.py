"""Renders our kustomizations, as far as they go: what `kubectl kustomize` would print.

Where there is such a kubectl, tests compare with it. A field or a kind of patch that is not known here
is an error.
"""

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
FIELDS = {"apiVersion", "kind", "namespace", "resources", "components", "images", "patches"}
MERGED_BY = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists in which items are merged, by the field that names them. Other lists are replaced."""
CLUSTER_WIDE: frozenset[str] = frozenset({"Namespace", "ClusterRole"})


def render(folder: Path) -> list[Resource]:
    """The resources that a folder's kustomization gives."""
    return _applied(folder, [])


def _applied(folder: Path, below: list[Resource]) -> list[Resource]:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert set(told) <= FIELDS, f"not known here: {set(told) - FIELDS}"
    found = list(below)
    for name in told.get("resources", ()):
        place = folder / name
        if place.is_dir():
            found += render(place)
        else:
            # Files may not come from above: kustomize refuses that.
            assert place.resolve().is_relative_to(folder.resolve())
            found += yaml.safe_load_all(place.read_text("utf-8"))
    for name in told.get("components", ()):
        found = _applied(folder / name, found)
    for patch in told.get("patches", ()):
        found = _patched(found, patch, folder)
    for resource in found:
        if "namespace" in told and resource["kind"] not in CLUSTER_WIDE:
            resource["metadata"]["namespace"] = told["namespace"]
        for image in told.get("images", ()):
            _rename(resource, image)
    return found


def _patched(resources: list[Resource], patch: Resource, folder: Path) -> list[Resource]:
    text = patch.get("patch") or (folder / patch["path"]).read_text("utf-8")
    told = yaml.safe_load(text)
    wanted = (
        patch["target"] if isinstance(told, list) else {"kind": told["kind"], **told["metadata"]}
    )
    found = []
    for resource in resources:
        fits = (resource["kind"], resource["metadata"]["name"]) == (wanted["kind"], wanted["name"])
        if not fits:
            found.append(resource)
        elif isinstance(told, list):
            found.append(_edited(resource, told))
        else:
            found.append(_merged(resource, told))
    assert found != resources, f"a patch that fits nothing: {text}"
    return found


def _edited(resource: Resource, operations: list[Resource]) -> Resource:
    """A JSON patch, of replacements."""
    found = copy.deepcopy(resource)
    for one in operations:
        assert one["op"] == "replace"
        *way, last = one["path"].strip("/").split("/")
        place: Any = found
        for word in way:
            place = place[int(word) if isinstance(place, list) else word]
        assert last in place
        place[last] = one["value"]
    return found


def _merged(below: Any, above: Any, field: str = "") -> Any:
    """A strategic merge: fields that are null go away."""
    if isinstance(below, dict) and isinstance(above, dict):
        found = {**below}
        for key, value in above.items():
            found[key] = _merged(below.get(key), value, key)
            if value is None:
                del found[key]
        return found
    if isinstance(below, list) and field in MERGED_BY:
        name = MERGED_BY[field]
        there = {one[name]: one for one in below}
        new = {one[name]: _merged(there.get(one[name], {}), one) for one in above}
        # Items that are new come first.
        return [one for key, one in new.items() if key not in there] + [
            new.get(key, one) for key, one in there.items()
        ]
    return above


def _rename(value: Any, image: Resource) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "image" and isinstance(one, str) and one.split(":")[0] == image["name"]:
                value[key] = f"{image['newName']}:{image['newTag']}"
            else:
                _rename(one, image)
    elif isinstance(value, list):
        for one in value:
            _rename(one, image)


def rendered_by_kubectl(folder: Path) -> list[Resource] | None:
    """What the real one prints; None where there is no kubectl that knows components."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return None
    asked = [kubectl, "version", "--client", "--output", "json"]
    version = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    if int(version.get("kustomizeVersion", "v0").lstrip("v").split(".")[0]) < 5:
        return None
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
