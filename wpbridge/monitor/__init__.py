"""Measure a queue, advise how many workers it needs, and warn: what stands on the queue's numbers.

Metrics, advice, alerts and the dashboard share the readings that are made here. See
docs/explain/measuring.md.
"""

from typing import Final

DOOR: Final = (
    "advice",
    "advising",
    "ended",
    "endpoint",
    "exposing",
    "followed_sites",
    "gauges",
    "glance",
    "growth",
    "handed_hooks",
    "history",
    "messages",
    "nagios",
    "percentiles",
    "readings",
    "rule_texts",
    "rules",
    "scaling",
    "site_gauges",
    "site_look",
    "site_stream",
    "sites_standing",
    "sites_state",
    "textfile",
    "watched_site",
    "watching",
)
"""The modules that other rooms may import."""
