"""Seeds of storms: random ones, or the one that is to be thrown again."""

import os
import random
from typing import Final

MOST_SEEDS: Final = 1 << 32


def seed() -> int:
    """Return a seed: that of ``WPBRIDGE_SEED`` if it is set."""
    # Not from `random` itself, which the test run has seeded.
    return int(os.environ.get("WPBRIDGE_SEED") or random.SystemRandom().randrange(MOST_SEEDS))
