"""What the files in wpbridge/deploy/ say, for tests that compare them with what is there."""

import configparser
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docs
from wpbridge.site.config import Settings, load
from wpbridge.site.moments import seconds_of
from wpbridge.web.serving import DRAIN_SECONDS

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "wpbridge" / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
DSN = "mysql://u:p@db/w"


def unknown_in(words: Sequence[str]) -> list[str]:
    """What the words after the image's entrypoint name that wpbridge does not have."""
    return docs.unknown_words(shlex.join(["wpbridge", *words]))


def settings_of(env: Mapping[str, object], folder: Path) -> Settings:
    """The settings of a container with these variables. What they name as a secret file is empty."""
    told = {name: DSN if name == "WPBRIDGE_DSN" else str(value) for name, value in env.items()}
    if "WPBRIDGE_CONFIG" in told:
        told["WPBRIDGE_CONFIG"] = str(folder / "wpbridge.toml")
        (folder / "wpbridge.toml").write_text(f'[site]\ndsn = "{DSN}"\n', "utf-8")
    return load({}, told, folder)


class _WithCase(configparser.ConfigParser):
    """A parser in which keys keep their case."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit_of(text: str, *, may_repeat: bool = False) -> configparser.ConfigParser:
    """What a unit of systemd's says. Of keys that may be there twice it has the last values."""
    # % means an instance there, and nothing here.
    parser = _WithCase(interpolation=None, strict=not may_repeat)
    parser.read_string(text)
    return parser


def image_env() -> dict[str, str]:
    """The variables that the image sets, of those that wpbridge reads."""
    return dict(re.findall(r"(WPBRIDGE_\w+)=(\S+)", DOCKERFILE.read_text("utf-8")))


def drain_seconds(words: Sequence[str]) -> float:
    """For how long what is started so lets run what runs, once it is told to stop."""
    if words[0] == "serve":
        return DRAIN_SECONDS
    told = words[words.index("--drain-timeout") + 1] if "--drain-timeout" in words else ""
    default = Settings().drain_timeout
    assert default is not None
    seconds = seconds_of(told) if told else default.total_seconds()
    assert seconds is not None
    return seconds


def port_of(words: Sequence[str]) -> str:
    """The port at which a gateway is told to listen, on all addresses of its container."""
    host, _, port = words[words.index("--listen") + 1].rpartition(":")
    assert host == "0.0.0.0"
    return port


def image_user(target: str) -> str:
    """The user of a stage of the Dockerfile, or of the last one."""
    stages = re.split(r"^FROM ", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    [stage] = [one for one in stages if one.split("\n")[0].endswith(f" AS {target}")] or stages[-1:]
    [user] = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
    return str(user)


def mapping(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict), value
    return value
