"""PHP is the oracle: what it makes of a configuration, the reader makes of it too, or nothing."""

import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from forms import Form, assert_same, told_by_php
from wpbridge.errors import SiteError
from wpbridge.site import wpconfig
from wpbridge.site.wpconfig.scope import only_set_here

ENV = {"PATH": os.environ["PATH"], "DB_FROM_ENV": "o'ne $two", "EMPTY": "", "ZERO": "0"}

EXPRESSIONS = [
    # Literals.
    "'plain'",
    r"'it\'s \\ and \n \x41 $x {$x}'",
    r"""'#//?>/*"'""",
    r'''"tab\t nl\n cr\r v\v e\e f\f dollar\$ quote\" back\\ other\q"''',
    r'"\x41\x4 \101\7 \400 \u{e9}\u{1F600}\u{0041} \xc3\xa9 \xe9 \u0041"',
    '"$"',
    '"a $ b {c} $1 {"',
    "'ü€😀'",
    '<<<EOT\nline \'one\' "two" \\"\\$ \\x41\n  two\nEOT',
    '<<<"EOT"\nEOT',
    "<<<'EOT'\n  raw \\n $x {$y}\n\nEOT",
    "<<<EOT\n    in\n      dented\n    EOT",
    "<<<EOT\nEOTX\nEOT",
    "b'binary' . b\"\\n\"",
    *("12", "012", "0x1F", "0b101", "0o17", "1_000", "-5", "9223372036854775808"),
    *("1.5", ".5", "1e3", "6.0", "1.", "0.1 + 0.2", "null", "TRUE", "False"),
    # Operators and conversions.
    "'a' . 1 . 2.5 . true . null . false",
    "'sum ' . (1 + 2)",
    "1 + 2 * 3 - 4 % 3",
    "-7 % 3",
    "1 | 2 | 2048",
    "MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_COMPRESS",
    "MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT",
    "(7 & 3) ^ 1 << 4 >> 1",
    "~0 & 255",
    "(string) 12 . (int) '12abc' . (bool) 'x'",
    "!0",
    "!!'0'",
    "!'a' . 'b'",
    "'10' == '1e1'",
    "'abc' == 0",
    "null == false",
    "null == ''",
    "'' == 0",
    "'1' == '01'",
    "'a' === 'a' && 1 !== 1.0",
    "'a' < 'b'",
    "'10' < '9'",
    "'10' < '9a'",
    "2 >= 2",
    "true and false",
    "true xor true",
    "1 ? 'a' : 'b'",
    "0 ?: 'short'",
    "(0 ? 'a' : 0) ? 'b' : 'c'",
    "null ?? 'x'",
    "$undefined ?? null ?? 'y'",
    "$list['a']['b'] ?? 'z'",
    # Constants and places.
    "__DIR__ . '/x'",
    "basename(__FILE__)",
    "dirname(__FILE__)",
    "dirname(__DIR__, 2)",
    "dirname('/a/b/') . dirname('a') . dirname('/a') . dirname('/')",
    "PHP_EOL . DIRECTORY_SEPARATOR",
    "ABSPATH",
    "constant('ABSPATH')",
    "\\dirname('/x/y')",
    # Environment.
    "getenv('DB_FROM_ENV')",
    "getenv('MISSING')",
    "getenv('MISSING') ?: 'y'",
    "getenv('EMPTY') ?: 'y'",
    "getenv('ZERO') ?: 'y'",
    "getenv('EMPTY') !== false ? getenv('EMPTY') : 'y'",
    "false === getenv('MISSING') ? 'no' : 'yes'",
    "$_ENV['DB_FROM_ENV'] ?? 'y'",
    "$_ENV['MISSING'] ?? 'y'",
    "$_SERVER['DB_FROM_ENV']",
    "isset($_ENV['EMPTY']) ? 'set' : 'not'",
    "empty($_ENV['ZERO']) ? 'empty' : 'not'",
    "isset($_ENV['EMPTY'], $_ENV['MISSING'])",
    "(getenv('MISSING') ?: getenv('ZERO')) ?: 'last'",
    # Functions.
    "trim('  x ') . rtrim('xyy', 'y') . ltrim('//a', '/')",
    "strtolower('ÄBC') . strtoupper('äbc')",
    "str_replace('a', 'b', 'banana')",
    "intval('42abc') + intval(null)",
    "filter_var('yes', FILTER_VALIDATE_BOOLEAN)",
    "filter_var('nein', FILTER_VALIDATE_BOOL)",
    "file_exists(__DIR__ . '/other.php')",
    "is_readable('/nonexistent')",
    "trim(file_get_contents(__DIR__ . '/secret.txt'))",
    "realpath(__DIR__ . '/../nowhere')",
    "['a' => 1, 'b', 5 => 'c', 'd']['a']",
    "array('x' => array('y' => 'deep'))['x']['y']",
    "['p', 'q'][1]",
    "['7' => 'seven'][7]",
    "defined('DB_NAME') ? 'yes' : 'no'",
    "is_string('x') && is_array([]) && is_null(null)",
]

STATEMENTS = [
    "DEFINE('DB_NAME', 'a', true); define('DB_NAME', 'b'); Define(\"DB_USER\", 'c');",
    "const DB_NAME = 'x', DB_USER = DB_NAME . 'y';",
    "$a = 'x'; $b = \"$a-{$a}-${a}\"; define('DB_NAME', $b);",
    "$a['k'] = 'v'; $a[] = 'w'; define('DB_NAME', \"$a[k] {$a['k']} $a[0]\");",
    "$a['n']['m'] = 'deep'; define('DB_USER', $a['n']['m']);",
    "$a = 'x'; $a .= 'y'; $a ??= 'z'; $b ??= 'w'; define('DB_NAME', $a . $b);",
    "$a = $b = 'both'; define('DB_NAME', $a . $b);",
    "if (1) define('DB_NAME', 'x'); else define('DB_NAME', 'y');",
    "if (0) { define('DB_NAME', 'x'); } elseif (1) { define('DB_NAME', 'y'); } else { exit; }",
    "if (0) { define('DB_NAME', 'x'); } else if (0) { } else { define('DB_NAME', 'z'); }",
    "if (0): define('DB_NAME', 'x'); elseif (1): define('DB_NAME', 'y'); else: exit; endif;",
    "if (1): if (0): define('DB_NAME', 'x'); else: define('DB_NAME', 'i'); endif; endif;",
    "defined('DB_NAME') || define('DB_NAME', 'x'); defined('DB_NAME') || define('DB_NAME', 'y');",
    "defined('DB_NAME') or define('DB_NAME', 'x'); !defined('DB_USER') && define('DB_USER', 'u');",
    "if (!defined('DB_NAME') and !isset($none)) { define('DB_NAME', 'x'); }",
    "if (($x = getenv('DB_FROM_ENV')) !== false) { define('DB_NAME', $x); }",
    "if ($x = getenv('EMPTY')) { define('DB_NAME', $x); } else { define('DB_NAME', 'none'); }",
    "foreach (['DB_NAME' => 'n', 'DB_USER' => 'u'] as $k => $v) { define($k, $v); }",
    "foreach (array('DB_NAME', 'DB_USER') as $k): define($k, $k . '!'); endforeach;",
    "require 'other.php'; define('DB_NAME', 'late');",
    "require_once __DIR__ . '/other.php'; include_once('other.php');",
    "$x = include 'array.php'; define('DB_HOST', $x['host']);",
    "@include 'missing.php'; if ((include 'returns.php') === 1) { define('DB_NAME', 'one'); }",
    "if (file_exists(__DIR__ . '/other.php')) { include ABSPATH . 'other.php'; }",
    "function f($a) { define('X', 'never'); return \"{$a}\"; } define('DB_NAME', 'x');",
    "class A { const X = 1; public static function f() { return ['}']; } } define('DB_NAME', 'x');",
    "abstract class B {} interface C {} final class D {} trait E {} define('DB_NAME', 'x');",
    "$f = function () use (&$q) { return '};'; }; $g = fn($x) => $x; define('DB_NAME', 'x');",
    "try { define('DB_NAME', 'x'); } catch (Exception $e) { define('X', 'e'); } finally { ; }",
    'eval(\'define("DB_NAME", "evaluated");\');',
    "{ define('DB_NAME', 'block'); } ;;",
    "declare(strict_types=0); use A\\B; global $z; echo 'x', 'y'; define('DB_NAME', 'x');",
    "@set_time_limit(60); print 'z'; define('DB_NAME', 'x');",
    "ini_set('a', 0); error_reporting(E_ALL & ~E_NOTICE); define('DB_NAME', 'x');",
    "$_SERVER['HTTPS'] = 'on'; define('DB_NAME', $_SERVER['HTTPS']);",
    "putenv('LATE=now'); define('DB_NAME', getenv('LATE'));",
    "putenv('ZERO'); define('DB_NAME', getenv('ZERO'));",
    "$a = 1 ? 0 or 1 : 2; define('DB_NAME', $a); define('DB_USER', true <= 'x');",
    "$GLOBALS['table_prefix'] = 'g_'; define('DB_NAME', $GLOBALS['table_prefix']);",
    "define('DB_NAME', 'x'); return; define('DB_USER', 'never');",
    "#[Attribute]\nclass G {} # comment 'x\n// comment \"y\n/* define('DB_NAME', 'no'); */",
    "define /* in */ ( 'DB_NAME' , // between\n 'x' ) ;",
    "// ends with ?><?php define('DB_NAME', 'x'); ?> text define('DB_USER', 'no');\n<?php ;",
    "define('DB_NAME', 'x') ?>\n<html><?php define('DB_USER', 'u');",
    "define('DB_NAME', <<<A\nx\nA . 'y'); define('DB_USER', <<<'B'\nB);",
    "define('DB_NAME', 'x',); define('DB_HOST', [1, 2,][1]);",
    "\\define('DB_NAME', \\trim(' x ')); define('DB_USER', \\DB_NAME);",
    "if (0) { if (1): endif; } else define('DB_NAME', 'x');",
    "switch (1) { case 1: $q = 1; break; default: $q = 2; } define('DB_NAME', 'x');",
    "while (0) { } for (;0;) { } do { } while (0); define('DB_NAME', 'x');",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A WordPress whose settings tell what was defined."""
    root = tmp_path.resolve() / "site"
    Form("site", files={"wp-config.php": ""}).lay(root)
    (root / "other.php").write_text("<?php define('DB_NAME', 'other'); $table_prefix = 'o_';")
    (root / "array.php").write_text("<?php return ['host' => 'h' . 1];")
    (root / "returns.php").write_text("<?php if (1) { define('DB_USER', 'r'); }")
    (root / "secret.txt").write_text(" s3cret\r\n")
    return root


def assert_agree(php: str, root: Path, body: str, prefix: str = "<?php\n") -> None:
    (root / "wp-config.php").write_text(
        f"{prefix}{body}\n$table_prefix = $table_prefix ?? 'wp_';\n"
        "require ABSPATH . 'wp-settings.php';\n",
        newline="",
    )
    told = told_by_php(php, root, ENV, {})
    assert told is not None
    try:
        config = wpconfig.read(root, ENV)
    except SiteError:
        return
    assert_same(config, told, body)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_have_the_value_php_gives_them(php: str, folder: Path, expression: str) -> None:
    assert_agree(php, folder, f"define('DB_NAME', {expression});")


@pytest.mark.parametrize("body", STATEMENTS)
def test_statements_have_the_effect_php_gives_them(php: str, folder: Path, body: str) -> None:
    if "return;" in body:
        (folder / "inner.php").write_text(f"<?php {body}")
        body = "include 'inner.php';"
    assert_agree(php, folder, body)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(php: str, folder: Path, newline: str) -> None:
    body = "// one\ndefine('DB_NAME', 'a'); # two\ndefine('DB_USER', <<<X\n b\n  c\n X);\n/* */"
    assert_agree(php, folder, body.replace("\n", newline), f"<?php{newline}")


def test_a_byte_order_mark_does_not_matter(php: str, folder: Path) -> None:
    assert_agree(php, folder, "define('DB_NAME', 'a');", "\ufeff<?php\n")


@pytest.mark.parametrize("quote", ["'", '"'])
def test_random_strings_are_what_php_makes_of_them(php: str, folder: Path, quote: str) -> None:
    chance = random.Random(11)  # noqa: S311 - no secret
    pieces = [
        *"\\\\\\\\$'\"#/?>{}[]nrtvefx0147acEu \t\r\n",
        '\\"',
        "\\'",
        "\\u{e9}",
        "é",
        "->",
        "\\x41",
    ]
    texts: list[str] = []
    while len(texts) < 500:
        text = "".join(chance.choices(pieces, k=chance.randint(0, 12)))
        odd = re.search(r"\$[A-Za-z_{\x80-\uffff]|\{\$|\\u\{(?!e9\})", text)
        if not odd and re.fullmatch(rf"(?:[^{quote}\\]|\\.)*", text, re.DOTALL):
            texts.append(quote + text + quote)
    appended = "\n".join(f"$all .= '|' . {text};" for text in texts)
    assert_agree(php, folder, f"$all = '';\n{appended}\ndefine('DB_NAME', $all);")


def test_php_has_none_of_wordpresss_constants(php: str) -> None:
    """A constant of WordPress's that the configuration has not set is not set."""
    program = "echo implode(' ', array_keys(get_defined_constants()));"
    names = subprocess.run([php, "-r", program], capture_output=True, text=True, check=True).stdout
    assert [name for name in names.split() if only_set_here(name)] == []
