"""The shipped rules in promtool, and once in a real Prometheus: each fires, and each is silent."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import alert_rules
import docs
from conftest import needs
from wpbridge.monitor.recorded import RECORDED
from wpbridge.monitor.rules import RULES
from wpbridge.telling.metrics import METRICS

FOLDER = alert_rules.FILE.parent
TARGET = 'job="wpbridge",instance="a:1"'
S = f'site="shop",{TARGET}'
OTHER = 'site="shop",job="wpbridge",instance="b:1"'
"""The same site, of another daemon."""
UP = f"up{{{TARGET}}}"
WELL = {UP: "1x600", f"wpbridge_scrape_success{{{S}}}": "1x600"}
PAIR = f'group="",hook="mail",{S}'
HOOK = f'{PAIR},runner="wpbridge"'
MANY = "0+50x600"
NONE: list[str] = []


class Case(NamedTuple):
    """Series, the minute at which to look, and the instances that fire then."""

    about: str
    rule: str
    series: dict[str, str]
    fires: list[str]
    """Labels besides the usual ones."""
    at: str = "30m"
    interval: str = "1m"


def buckets(quick: str, all_: str) -> dict[str, str]:
    return {
        f'wpbridge_claim_duration_seconds_bucket{{{S},le="{bound}"}}': values
        for bound, values in (("0.25", quick), ("0.5", all_), ("+Inf", all_))
    }


def ended(completed: str, failed: str, retried: str = "") -> dict[str, str]:
    told = {
        f"wpbridge_actions_completed_total{{{HOOK}}}": completed,
        f'wpbridge_actions_failed_total{{{HOOK},reason="error"}}': failed,
        f"wpbridge_actions_retried_total{{{PAIR}}}": retried,
    }
    return {name: values for name, values in told.items() if values}


def gauge(name: str, values: str, *labels: str) -> dict[str, str]:
    return {f"{name}{{{','.join([S, *labels])}}}": values}


SITE = 'site="shop"'
MAIL = 'hook="mail",site="shop"'
DUE = gauge("wpbridge_due_actions", "3x60", 'group=""')
BYTES = 'table="wp_actions"'
SITE_TABLE = f"{SITE},{BYTES}"
CASES = (
    Case(
        "dead",
        "NoRunner",
        {**WELL, **DUE, **gauge("wpbridge_last_run_timestamp_seconds", "60x60", 'runner="php"')},
        [SITE],
    ),
    Case("never seen", "NoRunner", {**WELL, **DUE}, [SITE]),
    Case(
        "one of two lives",
        "NoRunner",
        {
            **WELL,
            **DUE,
            **gauge("wpbridge_last_run_timestamp_seconds", "60x60", 'runner="php"'),
            f'wpbridge_last_run_timestamp_seconds{{{OTHER},runner="wpbridge"}}': "0+60x60",
        },
        NONE,
    ),
    Case(
        "nothing is due",
        "NoRunner",
        {
            **WELL,
            **gauge("wpbridge_due_actions", "0x60", 'group=""'),
            **gauge("wpbridge_last_run_timestamp_seconds", "60x60", 'runner="php"'),
        },
        NONE,
    ),
    Case(
        "old",
        "Backlog",
        {**WELL, **gauge("wpbridge_oldest_due_age_seconds", "700x60", 'group=""')},
        [SITE],
    ),
    Case(
        "old for a moment",
        "Backlog",
        {**WELL, **gauge("wpbridge_oldest_due_age_seconds", "0x25 700x30", 'group=""')},
        NONE,
    ),
    Case(
        "young",
        "Backlog",
        {**WELL, **gauge("wpbridge_oldest_due_age_seconds", "590x60", 'group=""')},
        NONE,
    ),
    Case("some", "FailRatio", {**WELL, **ended(MANY, "0+5x600")}, [MAIL]),
    Case("all, and nothing ever completed", "FailRatio", {**WELL, **ended("", "0+1x600")}, [MAIL]),
    Case(
        "the first one that the daemon knows of",
        "FailRatio",
        {**WELL, **ended("", "_x20 1x40")},
        [MAIL],
    ),
    Case(
        "the first one of a daemon that began a while ago",
        "FailRatio",
        {**WELL, UP: "_x22 1x60", **ended("", "_x27 1x40")},
        [MAIL],
    ),
    Case(
        "summed over daemons",
        "FailRatio",
        {
            **WELL,
            **ended(MANY, "0+1x600"),
            f'wpbridge_actions_failed_total{{{HOOK.replace(S, OTHER)},reason="error"}}': "0+4x600",
        },
        [MAIL],
    ),
    Case("few", "FailRatio", {**WELL, **ended(MANY, "0+1x600")}, NONE),
    Case("long ago", "FailRatio", {**WELL, **ended("0+50x600", "0+5x5 25x600")}, NONE),
    Case("nothing runs", "FailRatio", {**WELL, **ended("50x600", "5x600")}, NONE),
    Case(
        "a restarted daemon",
        "FailRatio",
        {**WELL, **ended("0+50x20 0+50x40", "0+1x20 0+1x40")},
        NONE,
    ),
    Case(
        "one that was not watched before",
        "FailRatio",
        {UP: "_x25 1x60", **ended("_x25 5000x60", "_x25 5000x60")},
        NONE,
    ),
    Case(
        "hours",
        "StuckRunning",
        {**WELL, **gauge("wpbridge_running_longest_seconds", "3700x60")},
        [SITE],
    ),
    Case(
        "minutes",
        "StuckRunning",
        {**WELL, **gauge("wpbridge_running_longest_seconds", "3000x60")},
        NONE,
    ),
    Case("most", "RetryStorm", {**WELL, **ended("0+10x600", "0+1x600", "0+40x600")}, [MAIL]),
    Case("nothing but retries", "RetryStorm", {**WELL, **ended("", "", "0+40x600")}, [MAIL]),
    Case("some", "RetryStorm", {**WELL, **ended(MANY, "0+1x600", "0+40x600")}, NONE),
    Case(
        "a hook that is rarely run",
        "RetryStorm",
        {**WELL, **ended("", "", "0x10 0+1x10 10x60")},
        NONE,
    ),
    Case("slow", "ClaimSlow", {**WELL, **buckets("0+95x600", "0+100x600")}, [SITE]),
    Case("quick", "ClaimSlow", {**WELL, **buckets("0+100x600", "0+100x600")}, NONE),
    Case("none", "ClaimSlow", {**WELL, **buckets("100x600", "110x600")}, NONE),
    Case(
        "many",
        "DBErrors",
        {**WELL, **gauge("wpbridge_db_errors_total", "0x20 0+5x40", 'code="1053"')},
        [SITE],
    ),
    Case(
        "a burst of a new kind",
        "DBErrors",
        {**WELL, **gauge("wpbridge_db_errors_total", "_x20 40x40", 'code="2006"')},
        [SITE],
    ),
    Case(
        "few",
        "DBErrors",
        {**WELL, **gauge("wpbridge_db_errors_total", "5x25 8x40", 'code="1053"')},
        NONE,
    ),
    Case(
        "a daemon that did not answer for a while",
        "DBErrors",
        {
            **WELL,
            UP: "1x10 0x9 1x40",
            **gauge("wpbridge_db_errors_total", "500x10 stale _x8 500x40", 'code="1053"'),
        },
        NONE,
    ),
    Case(
        "rows that others hold",
        "DBErrors",
        {
            **WELL,
            **gauge("wpbridge_db_errors_total", "0+50x60", 'code="1213"'),
            f'wpbridge_db_errors_total{{{S},code="SQLITE_BUSY_SNAPSHOT"}}': "0+50x60",
        },
        NONE,
    ),
    Case(
        "a counter that began anew",
        "DBErrors",
        {**WELL, **gauge("wpbridge_db_errors_total", "500x20 0x40", 'code="1053"')},
        NONE,
    ),
    Case(
        "quick",
        "TableGrowth",
        {**WELL, **gauge("wpbridge_table_bytes", "0+8500000x320", BYTES)},
        [SITE_TABLE],
        "26h",
        "5m",
    ),
    Case(
        "slow",
        "TableGrowth",
        {**WELL, **gauge("wpbridge_table_bytes", "30000000000+100000x320", BYTES)},
        NONE,
        "26h",
        "5m",
    ),
    Case(
        "the first hours",
        "TableGrowth",
        {**WELL, **gauge("wpbridge_table_bytes", "0+8500000x60", BYTES)},
        NONE,
        "3h",
        "5m",
    ),
    Case(
        "one", "RecurringStopped", {**WELL, **gauge("wpbridge_recurring_stopped", "1x60")}, [SITE]
    ),
    Case("none", "RecurringStopped", {**WELL, **gauge("wpbridge_recurring_stopped", "0x60")}, NONE),
    Case(
        "the database is away",
        "ExporterDown",
        {UP: "1x60", **gauge("wpbridge_scrape_success", "0x60")},
        [SITE],
    ),
    Case("the daemon is down", "ExporterDown", {UP: "0x60"}, [TARGET]),
    Case(
        "there is nothing at all", "ExporterDown", {'up{job="node",instance="n:1"}': "1x60"}, [""]
    ),
    Case(
        "the site is away that was there",
        "ExporterDown",
        {
            UP: "1x200",
            f'wpbridge_scrape_success{{site="blog",{TARGET}}}': "1x200",
            f"wpbridge_scrape_success{{{S}}}": "1x50 stale",
        },
        [SITE],
        "90m",
    ),
    Case(
        "cron does not write its file any more",
        "ExporterDown",
        {
            **WELL,
            'node_textfile_mtime_seconds{file="/var/lib/node/wpbridge.prom",instance="n:1"}': "60x60",
        },
        ['file="/var/lib/node/wpbridge.prom",instance="n:1"'],
    ),
    Case("all is well", "ExporterDown", WELL, NONE),
    Case(
        "one of two scrapes read the tables",
        "ExporterDown",
        {**WELL, f"wpbridge_scrape_success{{{OTHER}}}": "0x60"},
        NONE,
    ),
    Case(
        "one",
        "CallbacksFailing",
        {**WELL, **gauge("wpbridge_callbacks_total", "0x70 1x60", 'outcome="given_up"')},
        [SITE],
        "90m",
    ),
    Case(
        "the first one",
        "CallbacksFailing",
        {**WELL, **gauge("wpbridge_callbacks_total", "_x70 1x60", 'outcome="given_up"')},
        [SITE],
        "90m",
    ),
    Case(
        "long ago",
        "CallbacksFailing",
        {
            **WELL,
            **gauge("wpbridge_callbacks_total", "1x200", 'outcome="given_up"'),
            **gauge("wpbridge_callbacks_total", "0+5x200", 'outcome="delivered"'),
        },
        NONE,
        "90m",
    ),
    Case(
        "too few",
        "WorkersTooFew",
        {
            **WELL,
            **gauge("wpbridge_workers_advised", "8x60"),
            **gauge("wpbridge_workers", "4x60", 'state="busy"'),
            **gauge("wpbridge_workers", "9x60", 'state="max"'),
        },
        [SITE],
    ),
    Case(
        "enough in two daemons",
        "WorkersTooFew",
        {
            **WELL,
            **gauge("wpbridge_workers_advised", "8x60"),
            f"wpbridge_workers_advised{{{OTHER}}}": "8x60",
            **gauge("wpbridge_workers", "4x60", 'state="busy"'),
            f'wpbridge_workers{{{OTHER},state="idle"}}': "4x60",
        },
        NONE,
    ),
    Case(
        "no daemon whose workers are known",
        "WorkersTooFew",
        {**WELL, **gauge("wpbridge_workers_advised", "8x60")},
        NONE,
    ),
)


def promtool(*words: object) -> None:
    program = shutil.which("promtool")
    needs(None if program else "promtool is missing (scripts/setup servers installs it)")
    done = subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_is_made_of_the_table() -> None:
    assert alert_rules.FILE.read_text("utf-8") == alert_rules.text(), "run scripts/docs"


def test_promtool_takes_the_files() -> None:
    promtool("check", "config", FOLDER / "prometheus.yaml")
    promtool("check", "rules", FOLDER / "rules.yaml")


def asked(case: Case) -> dict[str, Any]:
    rule = RULES[case.rule]
    usual = (
        f'alertname="{rule.name}",alertstate="firing",severity="{rule.severity}",service="wpbridge"'
    )
    return {
        "name": f"{rule.name}: {case.about}",
        "interval": case.interval,
        "input_series": [{"series": name, "values": told} for name, told in case.series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{rule.name}",alertstate="firing"}}',
                "eval_time": case.at,
                "exp_samples": [
                    {"labels": f"ALERTS{{{usual}{',' * bool(of)}{of}}}", "value": 1}
                    for of in case.fires
                ],
            }
        ],
    }


def test_each_rule_fires_and_is_silent(tmp_path: Path) -> None:
    for rule in RULES:
        assert {bool(case.fires) for case in CASES if case.rule == rule} == {True, False}, rule
    files = []
    for interval in ("1m", "5m"):
        told = {
            "rule_files": [str(FOLDER / "rules.yaml")],
            "evaluation_interval": interval,
            "tests": [asked(case) for case in CASES if case.interval == interval],
        }
        files.append(tmp_path / f"{interval}.yaml")
        files[-1].write_text(yaml.safe_dump(told))
    promtool("test", "rules", *files)


def test_metrics_and_labels_are_those_that_wpbridge_exposes() -> None:
    foreign = {
        "up": {"job", "instance"},
        "node_textfile_mtime_seconds": {"file"},
    }
    texts = [*RECORDED.values(), *(rule.promql for rule in RULES.values())]
    named = {name for text in texts for name in re.findall(r"\b(?:wpbridge|node|up)[\w:]*", text)}
    known = {*foreign, *RECORDED, *METRICS}
    known |= {f"{name}_bucket" for name, metric in METRICS.items() if metric.kind == "histogram"}
    assert {name for name in named if name not in known} == {"wpbridge"}  # the job's name
    for text in texts:
        metrics = [METRICS[name] for name in METRICS if name in text]
        labels = {"site", "job", "instance", "le", "file", "table", "state", "hook"}
        if metrics:
            labels = {"site", "job", "instance"}.union(*(m.labels for m in metrics))
            labels |= {"le"} if any(m.kind == "histogram" for m in metrics) else set()
        labels |= {one for name, own in foreign.items() if name in text for one in own}
        used = {
            label.strip()
            for group in re.findall(r"(?:by|on) \(([^)]*)\)", text)
            for label in group.split(",")
            if label.strip()
        } | set(re.findall(r"(\w+)=~?\"", text))
        assert used <= labels, text


def test_what_the_texts_tell_people_to_run_is_there() -> None:
    for rule in RULES.values():
        for command in re.findall(r"`(wpbridge [^`]+)`", rule.advice):
            assert docs.unknown_words(command) == [], command


def test_the_page_tells_of_each_rule() -> None:
    page = (docs.FILE.parent.parent / "how-to" / "alert.md").read_text("utf-8")
    told = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert told == list(RULES)
