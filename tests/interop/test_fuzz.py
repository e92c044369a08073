"""A few rounds of scripts/fuzz: PHP, the plugin and we read random inputs alike."""

import os

import pytest

import fuzz

SEED = 20_261_128
CASES = 1500


@pytest.mark.parametrize("kind", list(fuzz.KINDS))
def test_random_inputs_are_read_as_php_reads_them(kind: str) -> None:
    if reason := fuzz.missing(kind):
        if os.environ.get("CI") and "php is not" in reason:
            pytest.fail(reason)
        pytest.skip(reason)
    with fuzz.oracle(os.environ.get("WPBRIDGE_TEST_PLUGIN", "")) as php_side:
        wrong = fuzz.differences(kind, SEED, CASES, php_side)
    assert not wrong, "\n".join(map(str, wrong[:5]))
