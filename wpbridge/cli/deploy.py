"""``deploy``: the files for systemd, Docker, Kubernetes, Prometheus, Grafana and proxies."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from wpbridge.cli.options import one_line_errors
from wpbridge.cli.terminal import print_line
from wpbridge.errors import InputError


@click.group()
def deploy() -> None:
    """Show files for systemd, Docker, Kubernetes, Prometheus, Grafana and proxies, or write them.

    Nothing is deployed: they are examples to copy and to change.
    """


@deploy.command("list", epilog="Example: wpbridge deploy list")
@one_line_errors
def list_() -> None:
    """List the files."""
    for name in _files():
        print_line(name)


@deploy.command(epilog="Example: wpbridge deploy show docker/compose.yaml")
@click.argument("name", metavar="NAME")
@one_line_errors
def show(name: str) -> None:
    """Print one file."""
    files = _files()
    if name not in files:
        raise InputError(f"there is no file {name}; there are {', '.join(files)}")
    for line in files[name].read_text("utf-8").splitlines():
        print_line(line)


@deploy.command(epilog="Example: wpbridge deploy write my-deployment")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@one_line_errors
def write(folder: Path) -> None:
    """Write all files into a folder. A file that is there already is never replaced."""
    files = {folder / name: file for name, file in _files().items()}
    there = [str(place) for place in files if place.exists()]
    if there:
        raise InputError(f"already there, and left as they are: {', '.join(there)}")
    for place, file in files.items():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as stream:
                stream.write(file.read_bytes())
        except OSError as error:
            raise InputError(f"{place} cannot be written: {error.strerror}") from error
        print_line(f"wrote {place}")


def _files() -> dict[str, Traversable]:
    """Return the files by their names below the folder of the package, sorted."""
    found: dict[str, Traversable] = {}
    todo = [("", resources.files("wpbridge").joinpath("deploy"))]
    while todo:
        above, folder = todo.pop()
        for one in folder.iterdir():
            name = f"{above}{one.name}"
            if one.is_dir():
                todo.append((f"{name}/", one))
            else:
                found[name] = one
    return dict(sorted(found.items()))
