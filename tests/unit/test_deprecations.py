"""The register of deprecated names: its rules, and that each name in it still works and warns."""

import dataclasses
import importlib
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

import surface
import wpbridge
from cli_helpers import Site, call
from gateway import serving
from wpbridge.deprecated import register
from wpbridge.deprecated.register import DEPRECATED, REMOVED, Deprecation, Kind, is_due, numbers_of
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings, load
from wpbridge.web.going import headers_of
from wpbridge.web.routes import ROUTES

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"


def named(one: Deprecation) -> str:
    return f"{one.kind}:{one.name}"


# The rules


@pytest.mark.parametrize("one", [*DEPRECATED, *REMOVED], ids=named)
def test_a_name_goes_in_a_new_major_release_and_warns_in_one_before(one: Deprecation) -> None:
    major, *rest = numbers_of(one.removed_in)
    assert rest == [0, 0], "only a release such as 2.0 removes names"
    assert numbers_of(one.since) < (major, 0, 0), "it has warned in an earlier minor release"
    assert numbers_of(one.since)[2] == 0, "a minor release begins to warn"
    assert one.successor
    assert one.successor != one.name
    if one.kind == "route":
        assert date.fromisoformat(one.since_day) < date.fromisoformat(one.sunset)


def test_no_name_is_left_that_should_be_gone() -> None:
    assert [one for one in DEPRECATED if is_due(one, wpbridge.__version__)] == []


def test_the_page_names_what_is_deprecated_beside_import_paths() -> None:
    page = (REFERENCE / "compatibility.md").read_text("utf-8")
    assert [one.name for one in DEPRECATED if one.kind != "import" and one.name not in page] == []


def test_a_name_is_deprecated_once_or_removed() -> None:
    names = [named(one) for one in (*DEPRECATED, *REMOVED)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("version", "due"), [("1.9.9", False), ("2.0", True), ("2.0.0", True), ("10.0.1", True)]
)
def test_versions_are_compared_as_numbers(version: str, due: bool) -> None:
    one = Deprecation("import", "old", "new", "1.0", "2.0")
    assert is_due(one, version) is due


# What is public is there


@pytest.mark.parametrize("kind", surface.KINDS)
def test_nothing_public_is_gone_without_an_entry(kind: str) -> None:
    missing = surface.recorded(kind) - surface.found(kind) - surface.removed(kind)
    assert missing == set(), (
        "public names are gone: bring them back as deprecated names, or write them down in"
        " REMOVED of wpbridge/deprecated/register.py; if no release had them, run scripts/surface"
    )


@pytest.mark.parametrize("kind", surface.KINDS)
def test_the_record_is_no_empty_one(kind: str) -> None:
    assert surface.recorded(kind)
    assert surface.recorded(kind) & surface.found(kind)


def test_a_name_that_is_missed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above can fail, and an entry ends that."""
    gone = min(surface.recorded("options"))
    monkeypatch.setattr(surface, "found", lambda kind: surface.recorded(kind) - {gone})
    missing = surface.recorded("options") - surface.found("options")
    assert missing == {gone}
    entry = Deprecation("option", gone, "status --new", "1.0", "2.0")
    monkeypatch.setattr(register, "REMOVED", (entry,))
    assert missing - surface.removed("options") == set()


# Each kind works and warns

MADE_UP = (
    Deprecation("import", "wpbridge.old_errors", "wpbridge.errors", "1.0", "2.0"),
    Deprecation("api", "OldQueue", "Queue", "1.0", "2.0"),
    Deprecation("command", "keys show-all", "keys list", "1.0", "2.0"),
    Deprecation("command", "state", "status", "1.0", "2.0"),
    Deprecation("option", "--database", "--dsn", "1.0", "2.0"),
    Deprecation("option", "status --all", "status --exact", "1.0", "2.0"),
    Deprecation("setting", "site.size", "run.batch_size", "1.0", "2.0"),
    Deprecation("variable", "WPBRIDGE_SIZE", "WPBRIDGE_BATCH_SIZE", "1.0", "2.0"),
    Deprecation(
        "route", "GET /v1/stats", "GET /v1/scale", "1.2", "2.0", "2027-01-05", "2027-06-01"
    ),
)
"""One of each kind, for the ways of warning that no real name needs at present."""


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(register, "DEPRECATED", MADE_UP)
    monkeypatch.setitem(register.MOVED_MODULES, "wpbridge.old_errors", "wpbridge.errors")
    yield
    sys.modules.pop("wpbridge.old_errors", None)


def try_out(one: Deprecation, folder: Path) -> None:
    """Use a name as people do: it does what its successor does, and says its words."""
    kind: Kind = one.kind
    if kind == "import":
        sys.modules.pop(one.name, None)
        with pytest.warns(DeprecationWarning, match=f"^{re.escape(one.words)}$"):
            found = _imported(one.name)
        new = _imported(one.successor)
        first = next((name for name in vars(new) if not name.startswith("_")), "")
        assert found is new or getattr(found, first) is getattr(new, first)
    elif kind == "api":
        with pytest.warns(DeprecationWarning, match=f"^{re.escape(one.words)}$"):
            found = getattr(wpbridge, one.name)
        assert found is getattr(wpbridge, one.successor)
    elif kind == "command":
        words, new = one.name.split(), one.successor.split()
        old_help, new_help = (call(*told, "--help", cwd=folder) for told in (words, new))
        assert one.words in old_help.err
        assert old_help.out == new_help.out != ""
    elif kind == "option":
        *words, option = one.name.split()
        done = call(*(words or ["status"]), option, cwd=folder)
        assert one.words in done.err
        assert "No such option" not in done.err
    elif kind == "setting":
        table, key = one.name.split(".")
        file = folder / "wpbridge.toml"
        file.write_text(f"[{table}]\n{key} = 7\n")
        _both_ways(load({"config": str(file)}, {}, folder), one)
        file.unlink()
    elif kind == "variable":
        _both_ways(load({}, {one.name: "7"}, folder), one)
    elif kind == "route":
        [route] = [route for route in ROUTES if f"{route.method} {route.path}" == one.name]
        assert set(headers_of(route, "")) >= {"Deprecation", "Sunset"}
    else:
        pages = "".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
        assert f"`{one.name}`" in pages
        assert one.words in pages, "the page says that it goes away"


def _imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def _both_ways(settings: Settings, one: Deprecation) -> None:
    [words] = settings.warnings
    assert words.endswith(one.words)
    assert 7 in vars_of(settings)


def vars_of(settings: Settings) -> list[object]:
    return [getattr(settings, field.name) for field in dataclasses.fields(settings)]


@pytest.mark.parametrize("one", DEPRECATED, ids=named)
def test_every_registered_name_still_works_and_warns(one: Deprecation, tmp_path: Path) -> None:
    try_out(one, tmp_path)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("one", MADE_UP, ids=named)
def test_each_kind_of_name_has_its_way_to_warn(one: Deprecation, tmp_path: Path) -> None:
    try_out(one, tmp_path)


# What the ways to warn do at their edges


@pytest.mark.usefixtures("made_up")
def test_old_words_mean_nothing_behind_two_dashes(tmp_path: Path) -> None:
    done = call("enqueue", "h", "--dry-run", "--", "--database", cwd=tmp_path)
    assert "deprecated" not in done.err


@pytest.mark.usefixtures("made_up")
def test_an_old_option_takes_its_value_in_both_forms(tmp_path: Path) -> None:
    for words in (["--database=sqlite:///no.db"], ["--database", "sqlite:///no.db"]):
        for line in (["status", *words], [*words, "status"], ["state", *words]):
            done = call(*line, cwd=tmp_path)
            assert "no.db" in done.err, "the value has arrived"
            assert done.err.count("--database is deprecated") == 1


@pytest.mark.usefixtures("made_up")
def test_an_old_name_beside_its_successor_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "wpbridge.toml"
    file.write_text("[site]\nsize = 7\n[run]\nbatch_size = 8\n")
    with pytest.raises(ConfigError, match=r"both site\.size and run\.batch_size"):
        load({}, {}, tmp_path)
    file.unlink()
    both = {"WPBRIDGE_SIZE": "7", "WPBRIDGE_BATCH_SIZE": "8"}
    with pytest.raises(ConfigError, match="both WPBRIDGE_SIZE and WPBRIDGE_BATCH_SIZE"):
        load({}, both, tmp_path)


@pytest.mark.usefixtures("made_up")
def test_commands_say_what_is_deprecated_in_settings(tmp_path: Path) -> None:
    done = call("config", "show", cwd=tmp_path, env={"WPBRIDGE_SIZE": "7"})
    [line] = [line for line in done.err.splitlines() if "deprecated" in line]
    assert line == f"wpbridge: {MADE_UP[7].words}"


@pytest.mark.usefixtures("made_up")
def test_python_hears_what_is_deprecated_in_settings(tmp_path: Path) -> None:
    env = {"WPBRIDGE_SIZE": "7"}
    with pytest.warns(DeprecationWarning, match="WPBRIDGE_SIZE is deprecated") as told:
        wpbridge.Queue.open(dsn="sqlite:///no.db", env=env, cwd=tmp_path).close()
    assert [one.filename for one in told] == [__file__]


def test_a_function_that_is_deprecated_warns_in_the_line_that_calls_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Deprecation("api", "Queue.look", "Queue.find", "1.0", "2.0")
    monkeypatch.setattr(register, "DEPRECATED", (one,))

    @register.deprecated("Queue.look")
    def look(number: int) -> int:
        return number + 1

    with pytest.warns(DeprecationWarning, match=f"^{re.escape(one.words)}$") as told:
        assert look(1) == 2
    assert [warning.filename for warning in told] == [__file__]
    assert look.__dict__["__deprecated__"] == one.words
    with pytest.raises(KeyError):
        register.deprecated("Queue.unknown")(look)


@pytest.mark.usefixtures("made_up")
def test_a_route_that_is_deprecated_says_so_in_each_answer(lite: Site) -> None:
    with serving(lite.dsn) as gateway:
        for headers in (
            gateway.ask("GET", "/v1/stats").headers,
            gateway.ask("GET", "/v1/stats", key="").headers,
        ):
            assert headers["Deprecation"] == "@1799107200"
            assert headers["Sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
            assert headers["Link"] == '</v1/scale>; rel="successor-version"'
        assert "Deprecation" not in gateway.ask("GET", "/v1/scale").headers
        assert MADE_UP[-1].words in gateway.ask("GET", "/docs").text
        paths = gateway.ask("GET", "/openapi.json").json()["paths"]
    assert paths["/v1/stats"]["get"]["deprecated"] is True
    assert MADE_UP[-1].words in paths["/v1/stats"]["get"]["description"]
    assert "deprecated" not in paths["/v1/scale"]["get"]
