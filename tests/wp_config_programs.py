"""Random ``wp-config.php`` programs, and what one PHP makes of many of them.

They are made of plain pieces, of statements of the forms in ``tests/forms``, and of conditions,
functions and included files around both, so that whatever one statement does meets all others.
"""

import json
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forms import SETTINGS, forms
from wpbridge.site.wpconfig import NAMES

ENV = {"DB_NAME": "env", "ZERO": "0", "EMPTY": "", "WP_ENV": "live", "SITE": "shop-1"}
CONSTANTS = (*("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_CHARSET"), "OWN", "WP_HOME")
VARIABLES = ("table_prefix", "a", "b", "db")
CONDITIONS = (
    *("true", "0", "!$a", "isset($a)", "empty($b)", "defined('DB_NAME')", "!defined('OWN')"),
    *("getenv('ZERO')", "getenv('SITE') === 'shop-1'", "$a == $b", "$a === 'x'", "$b != 1"),
    *(
        "file_exists(__DIR__ . '/one.php')",
        "is_readable(__DIR__ . '/none.php')",
        "$a = getenv('NO')",
    ),
    *("isset($_SERVER['HTTP_HOST'])", "($_SERVER['HTTPS'] ?? '') == 'on'", "PHP_SAPI === 'cli'"),
    *("defined('WP_CLI')", "function_exists('f')", "isset($_ENV['SITE'])", "$_GET['x'] ?? false"),
    *("define('OWN', 'by-condition')", "include __DIR__ . '/two.php'", "(bool) $a && !$b or 1"),
)
_LINES = [
    line
    for form in forms("other")
    for line in form.files["wp-config.php"].split("\n")[1:-1]
    if not re.search(r"wp-settings|halt_compiler|`|exec|chdir|\bsleep|<<<|^\?>|short_", line)
]
_PROGRAM = r"""
$folders = json_decode(stream_get_contents(STDIN), true);
foreach ($folders as $index => $folder) {
    if ($child = pcntl_fork()) { pcntl_waitpid($child, $status); continue; }
    ini_set('memory_limit', '64M'); pcntl_alarm(2); error_reporting(0);
    define('ABSPATH', "$folder/"); chdir($folder);
    fwrite(STDOUT, "\n#####$index\n");
    $wpbridge_file = "$folder/wp-config.php"; unset($folders, $folder, $index, $child, $status, $argv, $argc);
    ob_start();
    require $wpbridge_file;
    require ABSPATH . 'wp-settings.php';
    exit;
}
"""


class Maker:
    """Makes programs; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret

    def expression(self, depth: int = 0) -> str:
        """An expression of plain forms, and a few others."""
        pick, deeper = self.chance.choice, depth < 2
        plain = [
            *("'x'", "'y_'", "''", "'0'", "1", "0", "null", "false", "true", "-1", "'1'", "' 1'"),
            *(f"${name}" for name in VARIABLES),
            *("getenv('DB_NAME')", "getenv('NO')", "$_ENV['SITE']", "$_SERVER['DB_NAME']"),
            *(
                "__DIR__",
                "defined('OWN') ? OWN : 'no'",
                "WP_HOME",
                "dirname(__FILE__)",
                '"$a-{$b}"',
                "f()",
            ),
            *("$_SERVER['HTTP_HOST']", "$_GET['x']", "['k' => 'v']['k']", "[$a, 'z'][1]", "g('p')"),
        ]
        if not deeper or self.chance.random() < 0.4:
            return pick(plain)
        one, two = self.expression(depth + 1), self.expression(depth + 1)
        return pick(
            [
                *(f"{one} . {two}", f"{one} ?: {two}", f"({one}) ?? {two}", f"({one} == {two})"),
                *(f"({self.condition()} ? {one} : {two})", f"({one} === {two})", f"!({one})"),
                *(f"trim({one})", f"(string) ({one})", f"{one} . ($a = {two})", f"@({one})"),
                *(f"({one} && {two})", f"({one} or {two})", f"strtoupper({one})", f"h({one})"),
            ]
        )

    def condition(self) -> str:
        """A condition; some only PHP can decide."""
        return self.chance.choice(CONDITIONS)

    def statement(self, depth: int = 0) -> str:
        """One statement, with others inside."""
        pick, name, value = self.chance.choice, self.chance.choice(CONSTANTS), self.expression()
        key = pick(["SITE", "HTTPS", "X"])
        how = pick(["include", "include_once", "require", "require_once"])
        kinds = {
            f"define('{name}', {value});": 30,
            f"${pick(VARIABLES)} = {value};": 20,
            f"$_{pick(['ENV', 'SERVER'])}['{key}'] = {value};": 5,
            f"{how} __DIR__ . '/{pick(['one', 'two', 'three'])}.php';": 5,
            pick(_LINES): 8,
            f"defined('{name}') {pick(['||', 'or'])} define('{name}', {value});": 4,
            pick(["f();", "g($a);", "h('q');", "return;", "exit;", "eval('$b = 1;');"]): 4,
            self._block(depth) if depth < 3 else ";": 24,
        }
        return self.chance.choices(list(kinds), list(kinds.values()))[0]

    def _block(self, depth: int) -> str:
        body = " ".join(self.statement(depth + 1) for _ in range(self.chance.randint(0, 3)))
        other = self.statement(depth + 1)
        return self.chance.choice(
            [
                f"if ({self.condition()}) {{ {body} }}",
                f"if ({self.condition()}) {{ {body} }} else {{ {other} }}",
                f"if ({self.condition()}) {other} elseif ({self.condition()}) {{ {body} }} else {{ }}",
                f"if ({self.condition()}) if ({self.condition()}) {other} else {{ {body} }}",
                f"{{ {body} }}",
                f"if (!function_exists('f')) {{ function f() {{ {body} return {self.expression()}; }} }}",
                f"function g2($a, $b = {self.expression(2)}) {{ {body} return $a . $b; }}",
                f"function h2($x) {{ if ({self.condition()}) {{ return $x; }} {other} }}",
            ]
        )

    def _inside(self) -> str:
        name, value = self.chance.choice(CONSTANTS), self.expression(1)
        return self.chance.choice(
            [
                f"if ({self.condition()}) {{ return {value}; }}",
                f"defined('{name}') || define('{name}', {value});",
                f"$a = {value}; $table_prefix = {value};",
                f"if ($env = getenv('{name}')) {{ return $env; }} else if (isset($a)) {{ $a = 1; }}",
            ]
        )

    def program(self) -> dict[str, str]:
        """A configuration and the files it may include."""
        files = {
            f"{name}.php": "<?php " + "\n".join(self.statement(1) for _ in range(2))
            for name in ("one", "two")
        }
        body = "\n".join(self.statement() for _ in range(self.chance.randint(2, 9)))
        if self.chance.random() < 0.8:
            # So that most programs come to their end.
            body = (
                "define('WP_HOME', 'home'); function f() { return 'f'; }\n"
                f"function g2($a, $b = 'd') {{ {self._inside()} return $a . $b; }}\n"
                f"function h($x) {{ {self._inside()} return $x; }}\n{body}"
            )
        end = "\nrequire_once ABSPATH . 'wp-settings.php';\n"
        return {**files, "wp-config.php": f"<?php\n{body}{end}"}


def lay(folder: Path, files: dict[str, str]) -> None:
    """Write a program's files."""
    folder.mkdir(parents=True)
    (folder / "wp-settings.php").write_text(SETTINGS)
    for name, text in files.items():
        (folder / name).write_text(text)


def told(php: str, folders: Sequence[Path], env: dict[str, str]) -> list[dict[str, Any] | None]:
    """What PHP has at each ``wp-settings.php``; None where it does not come so far."""
    options = ("-n", "-d", "variables_order=EGPCS", "-d", "display_errors=0")
    done = subprocess.run(
        [php, *options, "-r", _PROGRAM],
        input=json.dumps([str(folder) for folder in folders]).encode(),
        capture_output=True,
        env=env,
        timeout=300,
        check=False,
    )
    found: dict[int, dict[str, Any]] = {}
    for part in done.stdout.split(b"\n#####")[1:]:
        index, _, rest = part.partition(b"\n")
        text = rest.rpartition(b"=====\n")[2].partition(b"\n")[0]
        # PHP has no JSON for names that are not UTF-8.
        if text.startswith(b"{"):
            found[int(index)] = {
                name: value
                for name, value in json.loads(text).items()
                if name in NAMES and value is not None
            }
    return [found.get(index) for index in range(len(folders))]
