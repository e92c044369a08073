"""Forms of ``wp-config.php`` from real life, and what real PHP makes of them.

``tests/forms/wp_config_*.txt`` hold them: ``=== name`` begins a form, ``@env NAME=VALUE`` is its
environment, ``@plain`` says that the reader must read it in full, ``--- file`` begins a file beside
its ``wp-config.php``. ``@ROOT@`` is the folder they are laid in.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wpbridge.site.wpconfig import NAMES, Unknown, WpConfig, to_bytes

FOLDER = Path(__file__).parent / "forms"
SETTINGS = r"""<?php
$told = [];
foreach (get_defined_constants(true)['user'] ?? [] as $name => $value) { $told[$name] = $value; }
$told['$table_prefix'] = $table_prefix ?? null;
array_walk_recursive($told, function (&$value) {
    if (is_string($value)) { $value = [base64_encode($value)]; }
});
fwrite(STDOUT, "\n=====\n" . json_encode($told) . "\n");
exit;
"""
REQUESTS: tuple[Mapping[str, str], ...] = (
    {},
    {
        "HTTP_HOST": "alpha.example",
        "SERVER_NAME": "alpha.example",
        "REMOTE_ADDR": "203.0.113.9",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": "80",
    },
    {
        "HTTP_HOST": "shop.example.test",
        "SERVER_NAME": "shop.example.test",
        "HTTPS": "on",
        "HTTP_X_FORWARDED_PROTO": "https",
        "SERVER_PORT": "443",
        "REMOTE_ADDR": "192.0.2.1",
    },
)
"""None, as on a command line, and two of a web server."""
_STAND_INS = "".join(
    # Without its ini files this PHP lacks the extension that defines them.
    f"define('MYSQLI_CLIENT_{name}', {number});"
    for name, number in {"SSL": 2048, "SSL_DONT_VERIFY_SERVER_CERT": 64, "COMPRESS": 32}.items()
)
_PROGRAM = """
foreach (json_decode($argv[3], true) as $name => $value) {
    $_SERVER[$name] = $value; putenv("$name=$value");
}
define('ABSPATH', $argv[1]); $wpbridge_file = $argv[2]; unset($argv, $argc); chdir(ABSPATH);
ob_start();
require $wpbridge_file;
ob_end_clean();
require ABSPATH . 'wp-settings.php';
"""


@dataclass
class Form:
    """One configuration with the files around it."""

    name: str
    plain: bool = False
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def requests(self) -> tuple[Mapping[str, str], ...]:
        """The requests to try it with: all, if it looks at them in any way."""
        looks = re.search("_SERVER|_GET|_COOKIE|sapi|SAPI|WP_CLI", "".join(self.files.values()))
        return REQUESTS if looks else REQUESTS[:1]

    def lay(self, root: Path) -> dict[str, str]:
        """Write the files into a folder, and return the environment."""
        root.mkdir(parents=True, exist_ok=True)
        (root / "wp-settings.php").write_text(SETTINGS)
        for name, text in self.files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("@ROOT@", str(root)), "utf-8", "surrogateescape")
        env = {name: value.replace("@ROOT@", str(root)) for name, value in self.env.items()}
        return {"PATH": os.environ["PATH"], **env}


def forms(name: str) -> list[Form]:
    """All forms of one of the files."""
    found: list[Form] = []
    for line in (FOLDER / f"wp_config_{name}.txt").read_text("utf-8").split("\n"):
        if line.startswith("=== "):
            form, file = Form(line[4:]), "wp-config.php"
            found.append(form)
        elif not found:
            continue
        elif line.startswith("--- "):
            file = line[4:]
            form.files[file] = ""
        elif line == "@plain" and not form.files:
            form.plain = True
        elif line.startswith("@env ") and not form.files:
            key, _, value = line[5:].partition("=")
            form.env[key] = value
        else:
            form.files[file] = form.files.get(file, "") + line + "\n"
    return found


def told_by_php(
    php: str, root: Path, env: Mapping[str, str], request: Mapping[str, str]
) -> dict[str, Any] | None:
    """What PHP has when it comes to ``wp-settings.php``, or None where it does not come so far."""
    options = ("-n", "-d", "error_reporting=0", "-d", "variables_order=EGPCS")
    arguments = (f"{root}/", str(root / "wp-config.php"), json.dumps(dict(request)))
    done = subprocess.run(
        [php, *options, "-r", _STAND_INS + _PROGRAM, "--", *arguments],
        capture_output=True,
        env=dict(env),
        cwd=root,
        timeout=300,
        check=False,
    )
    if b"\n=====\n" not in done.stdout:
        return None
    told = json.loads(done.stdout.rpartition(b"\n=====\n")[2].partition(b"\n")[0])
    return {name: value for name, value in told.items() if name in NAMES and value is not None}


def spelled(value: object) -> object:
    """A value as :func:`told_by_php` spells it."""
    return [base64.b64encode(to_bytes(value)).decode()] if isinstance(value, str) else value


def assert_same(config: WpConfig, told: Mapping[str, Any], what: str) -> None:
    """Every value the reader is sure of is PHP's, and nothing that PHP has is missing for sure."""
    for name in NAMES:
        value = config.values.get(name, config.doubt)
        if not isinstance(value, Unknown):
            assert spelled(value) == told.get(name), f"{what}: {name}"
