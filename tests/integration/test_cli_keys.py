"""``keys list`` and ``keys rotate-signing``; and no command shows a secret or takes it along."""

import gzip
import json
from pathlib import Path

import pytest

from cli_helpers import Site, is_one_line
from factories import insert, make_new
from rows import change, query
from wpbridge.codec.signing import USES, derived_key
from wpbridge.store.rows.signing import SigningSecret, SigningSecrets

ROTATE = ("keys", "rotate-signing")
TABLE = "wp_wpbridge_secrets"


def secrets(site: Site, table: str = TABLE) -> list[str]:
    return [str(text) for (text,) in query(site.store, f"SELECT secret FROM {table}")]


def fingerprints(site: Site) -> list[str]:
    return site.ok("keys", "list", "--field", "fingerprint").split()


def test_init_makes_the_secret_and_says_so(lite: Site) -> None:
    dry = lite.ok("init", "--dry-run").splitlines()
    assert dry[-1] == "would make the site's signing secret"
    assert secrets(lite) == []
    assert lite.ok("init").splitlines()[-1] == "made the site's signing secret"
    [secret] = secrets(lite)
    for words in (("init",), ("init", "--dry-run")):
        assert "signing secret" not in lite.ok(*words)
    assert secrets(lite) == [secret]


def test_init_makes_it_where_only_its_table_is_missing(lite: Site) -> None:
    change(lite.store, f"DROP TABLE {TABLE}")
    dry = lite.ok("init", "--dry-run").splitlines()
    assert dry[0] == f"would make {TABLE}"
    assert dry[-1] == "would make the site's signing secret"
    lite.ok("init")
    assert len(secrets(lite)) == 1


def test_the_list_shows_dates_and_fingerprints(lite: Site) -> None:
    empty = lite("keys", "list")
    assert (empty.code, len(empty.lines)) == (0, 1)
    assert "no signing secret yet" in empty.err
    lite.ok("init")
    lite.ok(*ROTATE, "--yes")
    current, previous = json.loads(lite.ok("keys", "list", "--format", "json"))
    assert (current["kind"], current["state"], current["retired"]) == ("signing", "current", None)
    assert previous["state"] == "previous"
    # They are two statements, between which a second may end.
    assert previous["retired"] <= current["created"]
    change(lite.store, f"UPDATE {TABLE} SET secret = 'x' WHERE place = 'previous'")
    _, damaged = json.loads(lite.ok("keys", "list", "--format", "json"))
    assert (damaged["fingerprint"], damaged["state"]) == ("", "damaged")


def test_a_rotation_keeps_two(lite: Site) -> None:
    lite.ok("init")
    [first] = fingerprints(lite)
    assert lite.ok(*ROTATE, "--dry-run").splitlines() == [
        "would make a new signing secret",
        f"{first} would stay valid as the previous one",
    ]
    assert fingerprints(lite) == [first]
    done = lite.ok(*ROTATE, "--yes").splitlines()
    second, old = fingerprints(lite)
    assert old == first
    assert done == [f"made signing secret {second}", f"{first} stays valid as the previous one"]
    done = lite.ok(*ROTATE, "--yes").splitlines()
    assert done[1:] == [f"{second} stays valid as the previous one", f"ended {first}"]


def test_after_a_leak_the_old_ones_end_at_once(lite: Site) -> None:
    lite.ok("init")
    lite.ok(*ROTATE, "--yes")
    old = fingerprints(lite)
    dry = lite.ok(*ROTATE, "--drop-previous", "--dry-run").splitlines()
    assert dry == ["would make a new signing secret", *(f"would end {one}" for one in old)]
    done = lite.ok(*ROTATE, "--drop-previous", "--yes").splitlines()
    [new] = fingerprints(lite)
    assert done == [f"made signing secret {new}", *(f"ended {one}" for one in old)]


def test_a_rotation_asks(lite: Site) -> None:
    lite.ok("init")
    before = secrets(lite)
    refused = lite(*ROTATE)
    assert is_one_line(refused, 2)
    assert "add --yes" in refused.err
    lite.terminal(*ROTATE, answer="n")
    assert secrets(lite) == before
    lite.terminal(*ROTATE, answer="y")
    assert len(secrets(lite)) == 2


def test_of_two_rotations_the_second_is_refused(
    lite: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it asked about is no longer so."""
    lite.ok("init")
    stored = SigningSecrets.stored

    def then_another_rotates(self: SigningSecrets) -> list[SigningSecret]:
        found = stored(self)
        monkeypatch.undo()
        lite.store.parts.signing.rotate(expected=found[0].fingerprint)
        return found

    monkeypatch.setattr(SigningSecrets, "stored", then_another_rotates)
    refused = lite(*ROTATE, "--yes")
    assert is_one_line(refused, 75)
    assert len(secrets(lite)) == 2


def test_uninstall_removes_the_secret(lite: Site) -> None:
    lite.ok("init")
    [before] = secrets(lite)
    assert TABLE in lite.ok("uninstall")
    lite.ok("init")
    assert secrets(lite) != [before]


LOOKS = (
    ("keys", "list", "--format", "json"),
    ("status", "--format", "json"),
    ("check", "--format", "json"),
    ("config", "show", "--format", "json"),
    ("doctor", "--format", "json"),
    ("doctor", "--fix"),
    ("migrate", "schema", "verify"),
    (*ROTATE, "--dry-run"),
    (*ROTATE, "--yes"),
    ("uninstall", "--dry-run"),
)


def test_no_command_shows_a_secret_or_a_key(lite: Site) -> None:
    lite.ok("init")
    lite.ok(*ROTATE, "--yes")
    before = secrets(lite)
    shown = "".join(done.out + done.err for done in (lite(*words) for words in LOOKS))
    hidden = [*before, *secrets(lite)]
    hidden += [derived_key(bytes.fromhex(one), use).hex() for one in hidden[:] for use in USES]
    assert [one for one in hidden if one in shown] == []
    assert fingerprints(lite)[0] in lite.ok("keys", "list"), "the list is not empty"


def test_nothing_takes_the_secret_along_or_cleans_it_away(lite: Site, tmp_path: Path) -> None:
    lite.ok("init")
    insert(lite.store, make_new("done"), make_new("due"))
    change(
        lite.store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete',"
        " last_attempt_gmt = '2020-01-01 00:00:00' WHERE hook = 'done'",
    )
    [mine] = secrets(lite)
    for words in (
        ("migrate", "export", "--output", "all.jsonl"),
        ("migrate", "export", "--output", "all.jsonl.gz"),
        ("migrate", "copy", "--to-dsn", "sqlite:///other.db", "--to-table-prefix", "x_", "--yes"),
        ("migrate", "archive", "--output", "old.jsonl.gz", "--yes"),
        ("clean", "--older-than", "1d", "--yes"),
    ):
        if "copy" in words:
            lite.ok("init", "--dsn", "sqlite:///other.db", "--table-prefix", "x_")
        assert lite(*words).code == 0, words
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "lite.db"]
    assert {"all.jsonl", "all.jsonl.gz", "other.db", "old.jsonl.gz"} <= {f.name for f in files}
    for file in files:
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
        assert mine.encode() not in data, file
        assert bytes.fromhex(mine) not in data, file
    assert secrets(lite) == [mine]
