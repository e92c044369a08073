"""``keys add``, ``list``, ``rotate``, ``revoke`` and ``token``, and what they leave in the tables."""

import base64
import json
import sys
from typing import Any

import pytest

from cli_helpers import Site, is_one_line
from rows import query
from wpbridge.access import tokens
from wpbridge.access.caller import NotKnown
from wpbridge.access.callers import Callers
from wpbridge.access.keys import parsed
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest

ADD = ("keys", "add", "shop", "--allow", "enqueue,read", "--hooks", "send_*")
TABLE = "wp_wpbridge_api_keys"


def added(site: Site, *words: str) -> str:
    return str(json.loads(site.ok(*(words or ADD), "--format", "json"))["key"])


def is_known(site: Site, key: str) -> bool:
    try:
        Callers(site.store.parts).identify(f"Bearer {key}", None, "")
    except NotKnown:
        return False
    return True


def listed(site: Site) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(site.ok("keys", "list", "--format", "json"))
    return [row for row in rows if row["kind"] == "api-key"]


@pytest.fixture(name="site")
def site_with_a_secret(lite: Site) -> Site:
    lite.ok("init")
    return lite


def test_a_key_is_shown_once_and_only_its_hash_is_kept(site: Site) -> None:
    key = added(site)
    parts = parsed(key)
    assert parts is not None
    assert parts.name == "shop"
    assert is_known(site, key)
    shown = "".join(
        done.out + done.err
        for done in (
            site("keys", "list", "--format", "json"),
            site("keys", "list"),
            site("doctor", "--format", "json"),
            site("keys", "rotate", "shop", "--dry-run"),
            site("keys", "revoke", "shop", "--dry-run"),
            site(*ADD),
        )
    )
    for hidden in (parts.secret, parts.hash):
        assert hidden not in shown
    rows = str(query(site.store, f"SELECT * FROM {TABLE}"))
    assert parts.hash in rows
    assert parts.secret not in rows


def test_the_key_alone_is_on_stdout(site: Site) -> None:
    done = site(*ADD)
    assert done.code == 0
    assert done.err == "added API key shop: it is shown only this once\n"
    assert is_known(site, done.out.removesuffix("\n"))


def test_the_list_says_what_keys_allow_and_when_they_end(site: Site) -> None:
    words = ("--groups", "mail", "--groups", "a,b", "--rate", "6000/m", "--expires", "90d")
    key = added(site, *ADD, *words, "--callback-hosts", "Hooks.Example.com")
    added(site, "keys", "add", "ops", "--allow", "operate")
    ops, shop = listed(site)
    assert (ops["name"], ops["allow"], ops["hooks"], ops["rate"]) == ("ops", ["operate"], [], None)
    assert (ops["state"], ops["expires"], ops["used"]) == ("valid", None, None)
    assert shop["allow"] == ["enqueue", "read"]
    assert shop["hooks"] == ["send_*"]
    assert shop["groups"] == ["mail", "a", "b"]
    assert shop["rate"] == "6000/min"
    assert shop["callback_hosts"] == ["hooks.example.com"]
    assert shop["expires"] > shop["created"]
    is_known(site, key)
    assert listed(site)[1]["used"] is not None


def test_a_rotation_keeps_two_and_a_revocation_none(site: Site) -> None:
    first = added(site)
    dry = site("keys", "rotate", "shop", "--dry-run")
    assert (dry.code, dry.out) == (0, "")
    second = added(site, "keys", "rotate", "shop")
    assert listed(site)[0]["state"] == "rotating"
    assert [is_known(site, key) for key in (first, second)] == [True, True]
    third = added(site, "keys", "rotate", "shop", "--keep-old", "0")
    assert [is_known(site, key) for key in (first, second, third)] == [False, False, True]
    refused = site("keys", "revoke", "shop")
    assert is_one_line(refused, 2)
    assert "add --yes" in refused.err
    assert site.ok("keys", "revoke", "shop", "--dry-run") == "would revoke API key shop\n"
    assert is_known(site, third)
    assert site.ok("keys", "revoke", "shop", "--yes") == "revoked API key shop\n"
    assert not is_known(site, third)
    assert listed(site)[0]["state"] == "revoked"
    again = site("keys", "revoke", "shop", "--yes")
    assert (again.code, again.err) == (0, "the API key shop was revoked before\n")
    for words in (ADD, ("keys", "rotate", "shop")):
        assert "was revoked" in site(*words).err


def test_a_dry_run_adds_nothing_and_finds_what_is_wrong(site: Site) -> None:
    assert json.loads(site.ok(*ADD, "--dry-run", "--format", "json")) == {
        "name": "shop",
        "key": None,
    }
    assert listed(site) == []
    added(site)
    assert is_one_line(site(*ADD, "--dry-run"), 2)


def test_each_change_is_audited(site: Site) -> None:
    added(site)
    added(site, "keys", "rotate", "shop")
    site.ok("keys", "revoke", "shop", "--yes")
    site(*ADD)
    rows = list(reversed(site.store.parts.audit.latest(10)))
    assert [(row.verb, row.thing) for row in rows] == [
        ("key-add", "shop"),
        ("key-rotate", "shop"),
        ("key-revoke", "shop"),
    ]
    assert all(row.who.startswith("cli:") and "@" in row.who for row in rows)


WRONG = [
    ("add", "Shop", "--allow", "read"),
    ("add", "a_b", "--allow", "read"),
    ("add", "é", "--allow", "read"),
    ("add", "x" * 65, "--allow", "read"),
    ("add", "x"),
    ("add", "x", "--allow", ""),
    ("add", "x", "--allow", "admin"),
    ("add", "x", "--allow", "enqueue"),
    ("add", "x", "--allow", "read", "--hooks", "h"),
    ("add", "x", "--allow", "enqueue", "--hooks", "h,"),
    ("add", "x", "--allow", "read", "--rate", "100"),
    ("add", "x", "--allow", "read", "--rate", "100/0s"),
    ("add", "x", "--allow", "read", "--expires", "soon"),
    ("add", "x", "--allow", "read", "--expires", "0"),
    ("add", "x", "--allow", "read", "--expires", "99999d"),
    ("add", "x", "--allow", "enqueue", "--hooks", "*", "--callback-hosts", "http://a"),
    ("rotate", "nobody"),
    ("rotate", "shop", "--keep-old", "-1"),
    ("revoke", "nobody", "--yes"),
    ("token",),
    ("token", "--job", "x"),
    ("token", "--job", "01935c2e-7b1a-7c3e-8f00-1234567890ab"),
    ("token", "--hook", "h", "--job", "x"),
    ("token", "--job", "x", "--args", "[]"),
    ("token", "--hook", ""),
    ("token", "--hook", "h", "--args", "x"),
    ("token", "--hook", "h", "--args", "1"),
    ("token", "--hook", "h", "--for", "16m"),
    ("token", "--hook", "h", "--for", "0"),
]


def test_wrong_input_is_one_clear_line_and_changes_nothing(site: Site) -> None:
    added(site)
    before = query(site.store, f"SELECT * FROM {TABLE}")
    for words in WRONG:
        assert is_one_line(site("keys", *words), 2), words
    assert query(site.store, f"SELECT * FROM {TABLE}") == before


def test_tokens_are_for_one_job_or_one_action(site: Site) -> None:
    callers = Callers(site.store.parts)
    words = ("--hook", "send_mail", "--args", '{"order": 17}', "--group", "mail", "--for", "5m")
    ticket = callers.identify(None, site.ok("keys", "token", *words).strip(), "").ticket
    assert ticket is not None
    assert ticket.fits("send_mail", "mail", {"order": 17})
    queue = JobQueue(site.store.parts, close_store=False)
    job = JobRequest(new=Enqueue(hook="h"), key_name="shop")
    queue.submit([queue.prepared(job)])
    token = site.ok("keys", "token", "--job", job.uuid.upper()).strip()
    assert callers.identify(None, token, "").only_job == job.uuid


def test_without_pyjwt_one_line_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    tokens._jwt.cache_clear()
    done = site("keys", "token", "--hook", "h")
    tokens._jwt.cache_clear()
    assert is_one_line(done, 78)
    assert "pip install 'wpbridge[web]'" in done.err
    added(site)


def test_no_export_or_copy_takes_keys_along(site: Site) -> None:
    added(site)
    site.ok("init", "--dsn", "sqlite:///other.db", "--table-prefix", "x_")
    target = ("--to-dsn", "sqlite:///other.db", "--to-table-prefix", "x_", "--yes")
    assert site("migrate", "copy", *target).code == 0
    other = ("--dsn", "sqlite:///other.db", "--table-prefix", "x_")
    rows = json.loads(site.ok("keys", "list", *other, "--format", "json"))
    assert [row for row in rows if row["kind"] == "api-key"] == []


def test_the_secret_of_callbacks_is_derived_and_told_to_the_operator(site: Site) -> None:
    added(site)
    secret = site.ok("keys", "callback-secret", "shop").strip()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    site.ok("keys", "rotate-signing", "--yes")
    told = json.loads(site.ok("keys", "callback-secret", "shop", "--format", "json"))
    assert (told["name"], told["previous"]) == ("shop", [secret])
    assert told["secret"] not in {secret, ""}
    done = site("keys", "callback-secret", "nobody")
    assert is_one_line(done, 2)
    assert "there is no API key 'nobody'" in done.err
