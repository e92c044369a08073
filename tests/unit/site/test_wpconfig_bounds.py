"""Texts that grow in a wp-config.php take no memory and no time: they are left to PHP."""

import tracemalloc
from pathlib import Path

import pytest

from wpbridge.site import wpconfig

HEAD = """<?php
define( 'DB_NAME', 'shop' ); define( 'DB_USER', 'u' ); define( 'DB_PASSWORD', 'p' );
define( 'DB_HOST', 'h' ); $table_prefix = 'wp_';
$a = array( 'k' => 'xxxxxxxxxx' ); $b = 'xxxxxxxxxx'; define( 'C0', 'xxxxxxxxxx' );
"""
GROWING = {
    "dots": "$b = $b . $b;\n" * 60,
    "dots at once": "$b = $b . $b . $b . $b;\n" * 60,
    "assigned": "$b .= $b;\n" * 60,
    "quoted": '$b = "$b$b";\n' * 60,
    "braces": '$b = "{$b}{$b}";\n' * 60,
    "heredoc": "$b = <<<E\n$b$b\nE;\n" * 60,
    "array": "$a['k'] = $a['k'] . $a['k'];\n" * 60,
    "arrays": "$a = array( $a, $a );\n" * 60,
    "constants": "".join(f"define( 'C{n + 1}', C{n} . C{n} );\n" for n in range(60)),
    "ternary": "$b = true ? $b . $b : '';\n" * 60,
    "conditions": "if ( true ) { $b = $b . $b; }\n" * 60,
    "long": "$b = " + "'x' . " * 20_000 + "'x';\n",
    "repeated": "$b = str_repeat( $b, 1000000000 );\n" * 3,
    "padded": "$b = str_pad( $b, 2000000000 ) . sprintf( '%1000000000d', 1 );\n",
    "replaced": "$b = str_replace( 'x', $b, $b );\n" * 20,
    "joined": "$b = implode( $b, array( $b, $b, $b ) );\n" * 20,
    "numbers": "$n = 9 ** 9 ** 9 ** 9; $m = 1 << 99999999999;\n",
    "digits": "$n = " + "9" * 20_000 + ";\n",
    "itself": "if ( ! defined( 'NEVER' ) ) { include __FILE__; }\n",
    "loop": "while ( true ) { $b .= 'x'; }\n",
}


@pytest.mark.parametrize("form", GROWING)
def test_what_grows_is_left_to_php(form: str, tmp_path: Path) -> None:
    text = HEAD + GROWING[form] + "require_once ABSPATH . 'wp-settings.php';\n"
    (tmp_path / "wp-config.php").write_text(text)
    tracemalloc.start()
    try:
        found = wpconfig.read(tmp_path, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.values["DB_NAME"] == "shop"
    assert peak < 200 * len(text) + 20_000_000
