"""Next dates of cron expressions, as the plugin's old copy of mtdowling/cron-expression gives them.

Both sides repeat the same rows, so its faults are kept: day of month and weekday must both match,
ranges do not wrap, a step from the 29th-31st to the next month can skip one, and a search ends
after 1,000 rounds. A part is text which is only understood when a date is tested against it: what
is wrong with it is raised then, and never if an earlier part or field settles the matter.

The answers of minute, hour, month and (per month) day are kept as bit sets, and the search jumps
from set bit to set bit while it counts the rounds that the plugin would have walked.
"""

import calendar
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from wpbridge.codec import phpcompare
from wpbridge.errors import CronError
