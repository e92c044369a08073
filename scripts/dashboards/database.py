"""The board of the database: claims, errors, and how the tables grow."""

from typing import Final

from dashboards.grafana import Board
from dashboards.panels import PER_SECOND, SITES, chart, number, percentiles
from dashboards.promql import gauge, grown, of, or_none_counted, quantile, rate

CLAIM: Final = "wpbridge_claim_duration_seconds"
BYTES: Final = "wpbridge_table_bytes"
ROWS: Final = "wpbridge_table_rows"
WEEK_SECONDS: Final = 7 * 24 * 3600
NOW: Final = (
    number(
        "Claims, p99",
        "Of a hundred claims, one takes longer.",
        "s",
        quantile(0.99, CLAIM),
        bad_from=0.25,
    ),
    number(
        "Errors within an hour",
        "Errors of the database that runners met.",
        "short",
        or_none_counted(grown("wpbridge_db_errors_total", within="1h"), within="1h"),
        bad_from=10,
    ),
    number(
        "Size",
        "Bytes of all tables with their indexes.",
        "bytes",
        f"sum({gauge(BYTES, 'table')})",
    ),
    number(
        "Size in a week",
        "If the tables grow as they did in the last six hours.",
        "bytes",
        f"sum(max by (table) (predict_linear({of(BYTES)}[6h], {WEEK_SECONDS})))",
    ),
    number(
        "Rows",
        "Rows of all tables, as the server estimates them.",
        "short",
        f"sum({gauge(ROWS, 'table')})",
    ),
    number(
        "Tables",
        "1 if the tables can be read. Otherwise their numbers are missing on the boards.",
        "short",
        gauge("wpbridge_scrape_success"),
    )._replace(words=(("1", "readable", "green"), ("0", "not readable", "red"))),
)
CLAIMS: Final = (
    percentiles("Duration of claims", "How long claims take.", CLAIM),
    chart(
        "Claims",
        "Claims per second, and those of them that found nothing.",
        PER_SECOND,
        (rate("wpbridge_claims_total", "result"), "{{result}}"),
    ),
    chart(
        "Errors by code",
        "Errors of the database per second, by the server's code.",
        PER_SECOND,
        (rate("wpbridge_db_errors_total", "code"), "{{code}}"),
    ),
    chart(
        "Claims held",
        "Claims that hold actions, of all runners.",
        "short",
        (gauge("wpbridge_claims_active"), "claims"),
    ),
)
TABLES: Final = (
    chart(
        "Bytes of each table",
        "With its indexes, by the server's catalogue.",
        "bytes",
        (gauge(BYTES, "table"), "{{table}}"),
    ),
    chart(
        "Rows of each table",
        "As the server estimates them.",
        "short",
        (gauge(ROWS, "table"), "{{table}}"),
    ),
    chart(
        "Growth of each table",
        "Bytes per second over the last hour. Below zero, the table shrinks.",
        "Bps",
        (f"max by (table) (deriv({of(BYTES)}[1h]))", "{{table}}"),
    ),
    chart(
        "Deleted by retention",
        "Rows per second.",
        PER_SECOND,
        (rate("wpbridge_purged_rows_total", "table"), "{{table}}"),
    ),
)
DATABASE: Final = Board(
    "database",
    "wpbridge: database",
    "How long claims take, which errors the database gives, and how its tables grow.",
    (SITES,),
    (("Now", NOW), ("Claims and errors", CLAIMS), ("Tables", TABLES)),
)
