"""The values below [wake], and what is wrong with them."""

from pathlib import Path

import pytest

from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings, load
from wpbridge.site.wake_kinds import split


def loaded(folder: Path, *lines: str, **env: str) -> Settings:
    (folder / "wpbridge.toml").write_text("\n".join(["[wake]", *lines]))
    return load({}, env, folder)


def test_without_them_the_defaults_count(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    found = (settings.wake_socket, settings.wake_mode, settings.wake_group)
    assert found == (None, "0666", None)
    assert (settings.wake_listen, settings.wake_announce) == (None, None)


def test_they_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, 'socket = "run/wake.sock"', 'mode = "660"', WPBRIDGE_WAKE_GROUP="www-data"
    )
    assert settings.wake_socket == tmp_path / "run" / "wake.sock"
    assert (settings.wake_mode, settings.wake_group) == ("0660", "www-data")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("127.0.0.1:9555", "127.0.0.1:9555"),
        ("udp 0.0.0.0:9555", "0.0.0.0:9555"),
        ("udp:10.0.0.5:0", "10.0.0.5:0"),
        ("[::1]:9555", "[::1]:9555"),
        ("off", "off"),
    ],
)
def test_where_it_listens(tmp_path: Path, given: str, kept: str) -> None:
    assert loaded(tmp_path, f'listen = "{given}"').wake_listen == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [("queue", "queue"), ("udp:queue:9", "queue:9"), ("::1", ""), ("[::1]:9", "[::1]:9")],
)
def test_what_it_announces(tmp_path: Path, given: str, kept: str) -> None:
    if kept:
        assert loaded(tmp_path, f'announce = "{given}"').wake_announce == kept
    else:
        with pytest.raises(ConfigError, match="announce expects a name"):
            loaded(tmp_path, f'announce = "{given}"')


@pytest.mark.parametrize(
    "line",
    [
        'listen = "9555"',
        'listen = "localhost:9555"',
        'listen = "127.0.0.1"',
        'listen = "127.0.0.1:65536"',
        'listen = "127.0.0.1:9555 127.0.0.1:9556"',
        "listen = 9555",
        'mode = "0888"',
        'mode = "4666"',
        "mode = 660",
        'socket = "@abstract"',
        f'socket = "/run/{"x" * 103}"',
        f'socket = "/run/{"é" * 52}"',
        'announce = ""',
        'announce = "a b"',
        'announce = "queue:0"',
        'group = ""',
        'sokcet = "/run/wake.sock"',
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=line.split(" =", maxsplit=1)[0]):
        loaded(tmp_path, line)


def test_the_longest_path_is_allowed(tmp_path: Path) -> None:
    path = f"/run/{'x' * 102}"
    assert loaded(tmp_path, f'socket = "{path}"').wake_socket == Path(path)


def test_host_and_port_are_told_apart() -> None:
    assert split("10.0.0.1:5") == ("10.0.0.1", 5)
    assert split("queue") == ("queue", None)
    assert split("[fe80::1]") == ("fe80::1", None)
    assert split("fe80::1") == ("", None)
    assert split("") == ("", None)
