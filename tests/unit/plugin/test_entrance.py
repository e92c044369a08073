"""The entrance: how the settings, and the companion plugin, lead people into the dashboard."""

from pathlib import Path
from typing import Final

import pytest

from wpbridge.plugin import companion, entrance
from wpbridge.plugin.companion import Companion, Ownership
from wpbridge.plugin.entrance import NOBODY, Entrance
from wpbridge.site.config import Settings, load
from wpbridge.site.rules import Role

People = tuple[tuple[str, Role], ...]
DEFAULT: Final[People] = (("manage_options", "admin"), ("manage_woocommerce", "operator"))
FULL = Entrance(
    url="https://queue.example/q",
    on_site=True,
    server="unix:///run/wpbridge/it's <b>.sock",
    base_path="/queue",
    people=(("10", "viewer"), ("b", "admin"), ("a", "operator")),
)


def test_without_settings_there_is_no_way_but_people_are_known() -> None:
    assert entrance.entrance_of(Settings()) == Entrance(people=DEFAULT)


def test_an_address_of_its_own_needs_no_server(tmp_path: Path) -> None:
    text = """[web]
    url = "https://queue.example/q/"
    listen = "10.0.0.5:80"
    base_path = "/q"
    [web.people]
    read = "viewer"
    editor = "admin"
    """
    (tmp_path / "wpbridge.toml").write_text(text)
    settings = load({}, {}, tmp_path)
    people: People = (("read", "viewer"), ("editor", "admin"))
    assert entrance.entrance_of(settings) == Entrance(url="https://queue.example/q", people=people)
    assert entrance.blocked(settings) is None


@pytest.mark.parametrize(
    ("listen", "server"),
    [
        ("127.0.0.1:8787", "tcp://127.0.0.1:8787"),
        ("127.9.9.9:1", "tcp://127.9.9.9:1"),
        ("localhost:8787", "tcp://127.0.0.1:8787"),
        ("0.0.0.0:8787", "tcp://127.0.0.1:8787"),
        ("[::1]:8787", "tcp://[::1]:8787"),
        ("[::]:8787", "tcp://[::1]:8787"),
        ("unix:/run/wpbridge/s.sock", "unix:///run/wpbridge/s.sock"),
        ("10.0.0.5:8787", ""),
        ("queue.example:8787", ""),
        ("127.0.0.1:0", ""),
    ],
)
def test_php_asks_a_server_on_its_own_host(listen: str, server: str, tmp_path: Path) -> None:
    env = {"WPBRIDGE_WEB_LISTEN": listen, "WPBRIDGE_WEB_BASE_PATH": "/queue"}
    settings = load({}, {**env, "WPBRIDGE_WEB_ON_SITE": "true"}, tmp_path)
    found = entrance.entrance_of(settings)
    assert (found.server, found.base_path, found.on_site) == (server, "/queue", True)
    why = entrance.blocked(settings)
    if server:
        assert why is None
    else:
        assert why is not None
        assert f"[web] listen is {listen}: use an address such as 127.0.0.1:8787, or unix" in why
    assert entrance.blocked(load({}, env, tmp_path)) is None


def test_without_its_pages_a_gateway_shows_nothing_on_the_site(tmp_path: Path) -> None:
    env = {"WPBRIDGE_WEB_ON_SITE": "true", "WPBRIDGE_WEB_UI": "false"}
    assert "[web] ui is false" in (entrance.blocked(load({}, env, tmp_path)) or "")


@pytest.mark.parametrize("given", [Entrance(), FULL, NOBODY])
def test_what_is_written_is_read_back(given: Entrance) -> None:
    whole = Companion(sites={"wp_": Ownership(dashboard=given)})
    source = companion.render(companion.template(), whole)
    assert companion.parse(source) == whole
    assert (b'"on_site":true' in (companion.LINE.text(source) or b"")) == given.on_site


def test_a_file_of_an_earlier_release_leads_nobody_in() -> None:
    source = companion.render(companion.template(), Companion(sites={"wp_": Ownership()}))
    text = companion.LINE.text(source) or b""
    start = text.index(b',"dashboard":')
    old = source.replace(text[start : text.index(b"}", start) + 1], b"")
    found = companion.parse(old)
    assert found == Companion(sites={"wp_": Ownership(dashboard=NOBODY)})
    [told] = companion.explain(found, "wp_", Ownership())
    assert "it lets in nobody, and [web.people] says otherwise" in told


@pytest.mark.parametrize(
    "damage", [b'"people":[["a","owner"]]', b'"people":[["a"]]', b'"people":3', b'"person":[]']
)
def test_a_damaged_entrance_is_a_damaged_file(damage: bytes) -> None:
    given = Ownership(dashboard=Entrance(people=(("a", "admin"),)))
    source = companion.render(companion.template(), Companion(sites={"wp_": given}))
    assert companion.parse(source.replace(b'"people":[["a","admin"]]', damage)) is None


@pytest.mark.parametrize(
    ("there", "wanted", "words"),
    [
        (FULL, Entrance(), "it shows the dashboard at /wpbridge/ of the site; it leads to"),
        (Entrance(), FULL, "it does not show the dashboard at /wpbridge/ of the site"),
        (
            Entrance(on_site=True, server="tcp://127.0.0.1:1", base_path="/q"),
            Entrance(on_site=True, server="tcp://127.0.0.1:2"),
            "it asks tcp://127.0.0.1:1/q, and `wpbridge serve` listens at tcp://127.0.0.1:2;",
        ),
        (
            Entrance(url="https://a.example"),
            Entrance(),
            "it leads to https://a.example, and [web] url is not set; run `COMMAND`",
        ),
        (
            Entrance(people=(("a", "viewer"), ("b", "admin"))),
            Entrance(people=(("b", "admin"), ("a", "viewer"))),
            "it lets in a as viewer, b as admin, and [web.people] says otherwise; run `COMMAND`",
        ),
    ],
)
def test_what_differs_is_named(there: Entrance, wanted: Entrance, words: str) -> None:
    found = Companion(sites={"wp_": Ownership(dashboard=there)})
    [told] = companion.explain(found, "wp_", Ownership(dashboard=wanted), command="COMMAND")
    begin = "the companion plugin leads to the dashboard otherwise than the settings say: "
    assert told.startswith(begin)
    assert words in told
    same = Companion(sites={"wp_": Ownership(dashboard=wanted)})
    assert companion.explain(same, "wp_", Ownership(dashboard=wanted)) == ()
