"""Text to meaning and back: PHP serialization, schedules, cron expressions, args, keys.

Pure: nothing here asks a clock, a database or a file.
"""

from typing import Final

DOOR: Final = (
    "addresses",
    "args",
    "callback_urls",
    "cron",
    "cron_values",
    "jsontext",
    "keys",
    "php",
    "schedule",
    "signing",
    "traceparents",
    "wakes",
    "wp_cron",
    "zoned",
)
"""The modules that other rooms may import."""
