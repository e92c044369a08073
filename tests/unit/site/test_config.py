import dataclasses
import os
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from wpbridge.errors import ConfigError, NotObeyed
from wpbridge.site.bounds import Bounds, NotBounds, bounds_of
from wpbridge.site.config import Settings, load, sources_of
from wpbridge.site.rules import Keep, Limit, Rate, RetryRule, Route, Webhook

FULL = """
[site]
path = "htdocs"
dsn = "mysql://bob:s3cret@h/d"
driver = "pymysql"
table_prefix = "x_"
blog_id = 3
url = "https://example.org"
ask_php = true
name = "shop"
owns_site = true
upkeep = false
unique_by = "args"

[run]
handlers = ["shop.hooks", "mail"]
batch_size = 50
batches = 2
max_actions = 100
max_time = "10m"
hooks = ["a", "b"]
exclude_hooks = "c, d"
groups = ["g"]
exclude_groups = []
concurrency = "2..8"
timeout = "5m"
isolated_max_actions = 1000
isolated_max_memory = "300M"
keep_output = "failed"
processes = 2
poll_interval = "2s"
drain_timeout = "1m"
max_age = "1d"
max_memory = "1G"
heartbeat_file = "beat"
state_dir = "state"
rescue = "hold"
log_format = "json"
format = "json"
tz = "europe/rome"
quiet = true
verbose = 2
color = false

[sites]
list = "all.toml"
state_file = "sites.json"
max_running = 4
max_php = 2
linger = "10s"
turn = "2m"
kill_after = "5m"

[wake]
socket = "/run/wpbridge/wake"
mode = "660"
group = "www-data"
listen = "127.0.0.1:9555"
announce = "queue"

[advise]
target_wait = "30s"
down_after = "5m"
[results]
keep = "2d"
[metrics]
listen = 9000
token = "a-token-of-the-test"
textfile = "wpbridge.prom"
[telemetry]
traces = true
otlp_endpoint = "http://127.0.0.1:4318"
[sentry]
dsn = "https://t0ken@sentry.example/1"
retries = true
check_ins = false
send_args = true
[celery]
broker = "amqp://shop:s3cret@mq.example//"
transport_options = {region = "eu-west-1"}
window = 50
resend_after = 30
completions = "drop"
volatile = true

[alerts]
to = ["json://alerts.example/"]
quiet_hours = "22:00-7:00"
repeat = "1h"
[alerts.rules]
Backlog = "30m"
DBErrors = false
[web]
listen = "0.0.0.0:80"
socket_mode = "0600"
base_path = "/queue/"
workers = 2
access_log = "json"
wordpress_login = true
allow_private_callbacks = true
origins = ["https://shop.example"]
metrics = "127.0.0.1:9001"
ui = false
url = "https://queue.example"
home = "office"
hosts = ["queue.example"]
on_site = true
proxy_header = "X-Remote-User"
proxy_from = ["10.0.0.0/24", "unix"]
proxy_role = "viewer"
mask = ["iban"]

[web.people]
editor = "viewer"

[web.roles]
editor = ["read", "enqueue"]
[php]
enabled = true
workers = 3
wp = "docker exec -i 'my site' wp"
user = "admin"
skip_plugins = ["slow"]
books = "native"
missing_callback = "fail"
on_crash = "retry"
timeout = "90s"
max_actions = 50
max_age = "2h"
max_memory = "256M"

[[routes]]
hook = "wc_*"
to = "php"

[[routes]]
hook = "mail"
group = ""
to = "leave"

[[retry]]
hook = "charge_*"
error = "Timeout*"
max_attempts = 8
base = "10s"
cap = "1h"

[[retry]]
group = ""

[[limits]]
hook = "mail_*"
max_concurrency = 2
rate = "30/min"
pause_after = 10
pause_for = "10m"

[[limits]]
group = ""
rate = "100/5m"

[shares]
orders = 3
"*" = 1

[[retention]]
hook = "wc_*"
status = "complete"
keep = "7d"

[[retention]]
status = "failed"
keep = "forever"

[webhooks]
plain = "https://hooks.example/plain?token=t0ken"
full = { url = "https://hooks.example/full", secret = "s3cret", timeout = "5s" }
env = { url = "http://localhost:8000/", secret_env = "WPBRIDGE_HOOK_SECRET" }
"""


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """An empty working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def read(cwd: Path, env: Mapping[str, str] | None = None, **flags: object) -> Settings:
    return load(flags, {"HOME": str(cwd / "home"), **(env or {})}, cwd)


def refused(cwd: Path, env: Mapping[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(cwd, env, **flags)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_defaults(cwd: Path) -> None:
    settings = read(cwd)
    assert settings == Settings()
    assert (settings.batch_size, settings.batches, settings.max_actions) == (None, 0, 0)
    assert (settings.concurrency, settings.max_time) == (Bounds(4, 4), None)
    assert settings.format == "text"
    assert set(sources_of(settings).values()) == {"default"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[retry]]\nmax_attempts = 0", "retry 1: max_attempts is a whole number from 1 to 1000"),
        ('[[retry]]\nbase = "soon"', 'base is a time such as "30s" or "6h"'),
        ("[[retry]]\nhook = 3", "hook is a text"),
        ('[[retry]]\nerror = "[TV]*Error"', "retry 1: no error's class has brackets in its name"),
        ("[[retry]]\ntries = 3", "unknown setting tries"),
        ("retry = 3", "a list of tables"),
        ("limits = 3", "a list of tables"),
        ("[[limits]]\nmax_concurrency = 1", "name a hook or a group"),
        ('[[limits]]\nhook = "a"\ngroup = "b"\nrate = "1/s"', "name a hook or a group"),
        ('[[limits]]\nhook = "a"', "give it max_concurrency, rate or pause_after"),
        ('[[limits]]\nhook = "a"\nmax_concurrency = 0', "max_concurrency is a whole number from 1"),
        ('[[limits]]\nhook = "a"\npause_after = true', "pause_after is a whole number from 1"),
        ('[[limits]]\ngroup = "a"\npause_after = 3', "pause_after counts the failures of a hook"),
        ('[[limits]]\nhook = "a"\nrate = "fast"', 'rate is so many in a time, such as "30/min"'),
        ('[[limits]]\nhook = "a"\nrate = "0/min"', "rate is so many in a time"),
        ('[[limits]]\nhook = "a"\nrate = "30"', "rate is so many in a time"),
        ('[[limits]]\nhook = "a"\nrate = "30/"', "rate is so many in a time"),
        (
            '[metrics]\nlisten = "unix:/run/m"',
            "listen expects HOST:PORT such as 127.0.0.1:9464, not",
        ),
        (
            '[metrics]\nlisten = "127.0.0.1:"',
            "listen expects HOST:PORT such as 127.0.0.1:9464, not",
        ),
        ('[site]\nname = " "', "name expects a text of at most 200 visible characters"),
        ('[site]\nname = "a\\nb"', "name expects a text of at most 200 visible characters"),
        ('[metrics]\ntoken = "short"', "token expects 16 or more visible characters"),
        ('[web]\nwordpress_login = "perhaps"', "wordpress_login expects true or false"),
        ('[web]\nroles = ["editor"]', "roles expects a table"),
        ('[web.roles]\neditor = "read"', "roles expects a table"),
        ('[web.roles]\neditor = ["write"]', "roles expects a table"),
        ('[web.people]\neditor = "boss"', "people expects a table"),
        ('[web]\nhosts = ["a/b"]', "hosts expects names of hosts"),
        ('[web]\nproxy_header = "a b"', "proxy_header expects the name of a header"),
        ('[web]\nproxy_from = ["proxy"]', "proxy_from expects addresses"),
        ('[[limits]]\nhook = "a"\nrate = 30', "rate is so many in a time"),
        ('[[limits]]\nhook = "a"\nrate = "3/fortnight"', "rate is so many in a time"),
        ('[[limits]]\nhook = "a"\nrate = "1/s"\npause_for = "soon"', "pause_for is a time such as"),
        ('[[limits]]\nhook = "a"\nburst = 3', "unknown setting burst"),
        ("[shares]\norders = 0", "a table [shares] of group = weight"),
        ('[shares]\norders = "much"', "a table [shares] of group = weight"),
        ('[[retention]]\nkeep = "soon"', 'retention 1: keep is a time such as "7d"'),
        ('[[retention]]\nkeep = "7d"\nstatus = "pending"', "status is complete, failed or"),
        ('[[retention]]\nkeep = "7d"\nhook = 3', "hook is a text"),
        ("retention = 3", "a list of tables"),
        ('[[routes]]\nto = "php"', "route 1: name a hook, a group, or both"),
        ('[celery]\nbroker = "kafka://mq"', "broker expects an address that begins with amqp://"),
        ("[celery]\nwindow = 0", "window expects a whole number from 1 to 100000"),
        ("[celery]\ntransport_options = 1", "expects a table [celery.transport_options]"),
        (
            '[[routes]]\nhook = "a"\nto = "celery"\nqueue = "a b"',
            "queue is a name of 1 to 80 letters, digits, _ and -",
        ),
        (
            '[[routes]]\nhook = "a"\nto = "celery"\npriority = 10',
            "priority is a whole number from 0 to 9",
        ),
        (
            '[[routes]]\nhook = "a"\nto = "php"\nqueue = "crm"',
            'queue counts only with to = "celery"',
        ),
        ('[[routes]]\nhook = "a"\nto = "perl"', "to is python, webhook, php, celery or leave"),
        ('[[routes]]\nhook = ""\nto = "php"', "hook and group are texts"),
        ('[[routes]]\nhoks = "a"\nto = "php"', "did you mean hook?"),
        ('[routes]\nhook = "a"', "a list of tables"),
        ('[php]\nwp = "wp \'"', "a command (No closing quotation)"),
        ('[php]\nmax_memory = "lots"', "a size such as 256M"),
        ("[php]\nphp_workers = 2", "unknown setting php_workers"),
        ('[php]\nbooks = "none"', "bridge or native"),
    ],
)
def test_php_and_routes_refused(cwd: Path, text: str, says: str) -> None:
    (cwd / "wpbridge.toml").write_text(text)
    assert says in refused(cwd)


def test_every_setting_has_a_source(cwd: Path) -> None:
    names = {field.name for field in dataclasses.fields(Settings)}
    assert set(sources_of(read(cwd))) == names - {
        "sources",
        "handlers_folder",
        "warnings",
        "file",
        "wake_address",
        "web_descriptor",
        "only_reads",
    }


def test_a_full_file(cwd: Path) -> None:
    (cwd / "wpbridge.toml").write_text(FULL)
    settings = read(cwd, {"WPBRIDGE_HOOK_SECRET": "from env"})
    assert settings == Settings(
        path=cwd / "htdocs",
        dsn="mysql://bob:s3cret@h/d",
        driver="pymysql",
        table_prefix="x_",
        blog_id=3,
        url="https://example.org",
        ask_php="always",
        handlers=("shop.hooks", "mail"),
        handlers_folder=str(cwd),
        webhooks={
            "plain": Webhook(url="https://hooks.example/plain?token=t0ken"),
            "full": Webhook(url="https://hooks.example/full", secret="s3cret", timeout_seconds=5),
            "env": Webhook(url="http://localhost:8000/", secret="from env"),
        },
        batch_size=50,
        batches=2,
        max_actions=100,
        max_time=timedelta(minutes=10),
        hooks=("a", "b"),
        exclude_hooks=("c", "d"),
        groups=("g",),
        exclude_groups=(),
        concurrency=Bounds(2, 8),
        routes=(
            Route(to="php", hook="wc_*"),
            Route(to="leave", hook="mail", group=""),
        ),
        owns_site=True,
        upkeep=False,
        unique_by="args",
        timeout=timedelta(minutes=5),
        isolated_max_actions=1000,
        isolated_max_memory=300 << 20,
        keep_output="failed",
        processes=Bounds(2, 2),
        poll_interval=timedelta(seconds=2),
        drain_timeout=timedelta(minutes=1),
        max_age=timedelta(days=1),
        max_memory=1 << 30,
        heartbeat_file=cwd / "beat",
        state_dir=cwd / "state",
        advise_target_wait=timedelta(seconds=30),
        advise_down_after=timedelta(minutes=5),
        sites=cwd / "all.toml",
        sites_state_file=cwd / "sites.json",
        sites_max_running=4,
        sites_max_php=2,
        sites_linger=timedelta(seconds=10),
        sites_turn=timedelta(minutes=2),
        sites_kill_after=timedelta(minutes=5),
        rescue="hold",
        log_format="json",
        retry=(
            RetryRule(
                hook="charge_*",
                error="Timeout*",
                max_attempts=8,
                base=timedelta(seconds=10),
                cap=timedelta(hours=1),
            ),
            RetryRule(group=""),
        ),
        limits=(
            Limit(
                hook="mail_*",
                max_concurrency=2,
                rate=Rate(count=30, per=timedelta(minutes=1)),
                pause_after=10,
                pause_for=timedelta(minutes=10),
            ),
            Limit(group="", rate=Rate(count=100, per=timedelta(minutes=5))),
        ),
        shares={"orders": 3, "*": 1},
        retention=(
            Keep(status="complete", hook="wc_*", keep=timedelta(days=7)),
            Keep(status="failed", keep=None),
        ),
        php=True,
        php_workers=3,
        wp=("docker", "exec", "-i", "my site", "wp"),
        user="admin",
        skip_plugins=("slow",),
        php_books="native",
        missing_callback="fail",
        on_crash="retry",
        php_timeout=timedelta(seconds=90),
        php_max_actions=50,
        php_max_age=timedelta(hours=2),
        wake_socket=Path("/run/wpbridge/wake"),
        wake_mode="0660",
        wake_group="www-data",
        wake_listen="127.0.0.1:9555",
        wake_announce="queue",
        results_keep=timedelta(days=2),
        web_listen="0.0.0.0:80",
        web_socket_mode="0600",
        web_base_path="/queue",
        web_workers=2,
        web_access_log="json",
        web_wordpress_login=True,
        web_allow_private_callbacks=True,
        web_origins=("https://shop.example",),
        web_metrics="127.0.0.1:9001",
        web_roles={"editor": ("enqueue", "read")},
        web_ui=False,
        web_url="https://queue.example",
        web_home="office",
        web_hosts=("queue.example",),
        web_on_site=True,
        web_proxy_header="X-Remote-User",
        web_proxy_from=("10.0.0.0/24", "unix"),
        web_proxy_role="viewer",
        web_mask=("iban",),
        web_people={"editor": "viewer"},
        php_max_memory=256 << 20,
        site_name="shop",
        metrics_listen="127.0.0.1:9000",
        metrics_token="a-token-of-the-test",
        metrics_textfile=cwd / "wpbridge.prom",
        telemetry_traces=True,
        telemetry_otlp_endpoint="http://127.0.0.1:4318",
        sentry_dsn="https://t0ken@sentry.example/1",
        sentry_retries=True,
        sentry_check_ins=False,
        sentry_send_args=True,
        alerts_to=("json://alerts.example/",),
        alerts_quiet_hours="22:00-07:00",
        alerts_repeat=timedelta(hours=1),
        alerts_rules={"Backlog": "30m", "DBErrors": False},
        celery_broker="amqp://shop:s3cret@mq.example//",
        celery_transport_options={"region": "eu-west-1"},
        celery_window=50,
        celery_resend_after=timedelta(seconds=30),
        celery_completions="drop",
        celery_volatile=True,
        format="json",
        tz="Europe/Rome",
        quiet=True,
        verbose=2,
        color=False,
    )
    sources = dict(sources_of(settings))
    assert sources.pop("trusted") == "default"
    assert set(sources.values()) == {f"file {cwd / 'wpbridge.toml'}"}


def test_secrets_are_shown_nowhere(cwd: Path) -> None:
    (cwd / "wpbridge.toml").write_text(FULL)
    settings = read(cwd, {"WPBRIDGE_HOOK_SECRET": "s3cret too"})
    for text in (repr(settings), str(settings), repr(settings.webhooks), str(settings.sources)):
        assert "s3cret" not in text
        assert "t0ken" not in text


def test_a_flag_goes_before_the_environment_before_the_file(cwd: Path) -> None:
    (cwd / "wpbridge.toml").write_text("[run]\nbatch_size = 1\nbatches = 1\nconcurrency = 1\n")
    env = {"WPBRIDGE_BATCH_SIZE": "2", "WPBRIDGE_BATCHES": "2"}
    settings = read(cwd, env, batch_size=3, batches=None, hooks=())
    assert (settings.batch_size, settings.batches, settings.concurrency.least) == (3, 2, 1)
    sources = sources_of(settings)
    assert sources["batch_size"] == "flag"
    assert sources["batches"] == "env WPBRIDGE_BATCHES"
    assert sources["concurrency"] == f"file {cwd / 'wpbridge.toml'}"
    assert sources["hooks"] == "default"


class TestFile:
    def test_the_first_that_there_is(self, cwd: Path) -> None:
        home = cwd / "home" / ".config" / "wpbridge"
        xdg = cwd / "xdg" / "wpbridge"
        for number, folder in enumerate((home, xdg), 1):
            folder.mkdir(parents=True)
            (folder / "wpbridge.toml").write_text(f"[run]\nbatches = {number}\n")
        (cwd / "other.toml").write_text("[run]\nbatches = 4\n")
        assert read(cwd).batches == 1
        env = {"XDG_CONFIG_HOME": str(cwd / "xdg")}
        assert read(cwd, env).batches == 2
        (cwd / "wpbridge.toml").write_text("[run]\nbatches = 3\n")
        assert read(cwd, env).batches == 3
        assert read(cwd, env, config="other.toml").batches == 4
        assert read(cwd, {"WPBRIDGE_CONFIG": "~/../other.toml"}).batches == 4

    def test_a_user_without_a_home(self, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a container's that is known by its number alone."""
        monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
        assert read(cwd, {"HOME": ""}).batches == 0
        (cwd / "wpbridge.toml").write_text("[run]\nbatches = 3\n")
        assert read(cwd, {"HOME": ""}).batches == 3
        with pytest.raises(ConfigError, match=r"^~/a.toml: there is no home folder: set HOME"):
            load({"config": "~/a.toml"}, {}, cwd)
        with pytest.raises(ConfigError, match=r"~/www: there is no home folder: set HOME"):
            load({"path": "~/www"}, {}, cwd)

    def test_one_that_is_named_must_be_there(self, cwd: Path) -> None:
        assert refused(cwd, config="none.toml") == (
            f"the settings file {cwd / 'none.toml'} does not exist"
        )

    def test_paths_begin_where_they_are_written(self, cwd: Path) -> None:
        (cwd / "conf").mkdir()
        (cwd / "conf" / "x.toml").write_text('[site]\npath = "html"\n[run]\nhandlers = "h"\n')
        settings = read(cwd, config="conf/x.toml")
        assert settings.path == cwd / "conf" / "html"
        assert settings.handlers_folder == str(cwd / "conf")
        assert read(cwd, config="conf/x.toml", handlers=("h",)).handlers_folder is None
        assert read(cwd, path="html").path == cwd / "html"
        assert read(cwd, {"WPBRIDGE_PATH": "~/html"}).path == cwd / "home" / "html"
        assert read(cwd, path="~").path == cwd / "home"
        assert read(cwd, path="/srv").path == Path("/srv")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[run", "is no TOML: "),
            (
                "[run]\nbatch_sise = 1",
                "[run]: unknown setting batch_sise; did you mean batch_size?",
            ),
            ("[run]\nxyzzy = 1", "[run]: unknown setting xyzzy; known: batch_size, batches, "),
            ("[sight]\npath = 1", "unknown setting sight; did you mean site?"),
            ("batches = 1", "batches belongs below [run]"),
            ("site = 1", "site is a table: [site]"),
            ("[site]\npath = 1", "path expects a path, not 1"),
            ("[site]\ndsn = 3141592", "dsn expects a text"),
            ("[site]\nblog_id = 0", "blog_id expects a whole number from 1"),
            (
                "[site]\ntable_prefix = 'wp-x'",
                "expects letters, digits and underscores, not 'wp-x'",
            ),
            ("[run]\nbatch_size = '1.5'", "batch_size expects a whole number from 1 to 10000"),
            ("[run]\nbatch_size = true", "batch_size expects a whole number from 1 to 10000"),
            ("[run]\nmax_time = 'soon'", "max_time expects a time such as 90"),
            ("[run]\nmax_time = -1", "max_time expects a time such as 90"),
            ("[run]\nmax_time = nan", "max_time expects a time such as 90"),
            ("[run]\nhooks = [1]", "hooks expects a list of texts"),
            (
                "[run]\nformat = 'xml'",
                "format expects text or table or json or jsonl or csv or yaml or ids or count, not 'xml'",
            ),
            (
                "[run]\ntz = 'Mars'",
                "tz expects site, UTC or a time zone such as Europe/Rome, not 'Mars'",
            ),
            ("[run]\ntz = 2", "tz expects site, UTC or a time zone"),
            ("[run]\nquiet = 'perhaps'", "quiet expects true or false, not 'perhaps'"),
            ("[webhooks]\na = 'ftp://s3cret'", "webhook a: url is one that begins with https://"),
            ("[webhooks]\na = 1", "webhook a: url is one that begins with https://"),
            ("webhooks = 1", "webhooks expects a table of hook = url"),
            ("[webhooks.a]\nurl = 'http://x'\nsecrets = 's3cret'", "did you mean secret?"),
            ("[webhooks.a]\nurl = 'http://x'\nsecret = 5", "webhook a: secret is a text"),
            ("[webhooks.a]\nurl = 'http://x'\nsecret_env = 'NOT'", "variable NOT of secret_env"),
            ("[webhooks.a]\nurl = 'http://x'\ntimeout = 0", "webhook a: timeout is a time"),
            ("[webhooks.a]\nurl = 'http://x'\ntimeout = inf", "webhook a: timeout is a time"),
            ("[webhooks.a]\nurl = 'http://x'\ntimeout = 1e300", '30s", a day at most'),
        ],
    )
    def test_what_is_wrong_is_one_line_with_the_file(
        self, cwd: Path, text: str, problem: str
    ) -> None:
        (cwd / "wpbridge.toml").write_text(text)
        told = refused(cwd)
        assert problem in told
        assert str(cwd / "wpbridge.toml") in told
        assert "\n" not in told

    @pytest.mark.parametrize(
        "make", [Path.mkdir, os.mkfifo, lambda p: p.symlink_to(p), lambda p: p.symlink_to("gone")]
    )
    def test_what_is_there_and_is_no_file_is_not_passed_over(
        self, cwd: Path, make: Callable[[Path], None]
    ) -> None:
        make(cwd / "wpbridge.toml")
        assert f"{cwd / 'wpbridge.toml'} is there and is no file" in refused(cwd)

    def test_bytes_that_are_no_text(self, cwd: Path) -> None:
        (cwd / "wpbridge.toml").write_bytes(b"\xff")
        assert "is not UTF-8" in refused(cwd)


class TestEnvironment:
    def test_texts_are_turned_into_values(self, cwd: Path) -> None:
        settings = read(
            cwd,
            {
                "WPBRIDGE_HOOKS": "a, b,,a",
                "WPBRIDGE_QUIET": "Yes",
                "WPBRIDGE_ASK_PHP": "0",
                "WPBRIDGE_MAX_TIME": "90",
                "WPBRIDGE_BLOG_ID": "2",
                "WPBRIDGE_GROUPS": "",
                "WPBRIDGE_WEBHOOKS": "a=https://x/?b=1,2 c=http://y",
            },
        )
        assert settings.hooks == ("a", "b")
        assert (settings.quiet, settings.ask_php) == (True, "never")
        assert settings.max_time == timedelta(seconds=90)
        assert settings.blog_id == 2
        assert settings.webhooks == {
            "a": Webhook(url="https://x/?b=1,2"),
            "c": Webhook(url="http://y"),
        }
        assert sources_of(settings)["groups"] == "default"

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            (
                "WPBRIDGE_BACH_SIZE",
                "1",
                "unknown setting WPBRIDGE_BACH_SIZE; did you mean WPBRIDGE_BATCH_SIZE?",
            ),
            ("WPBRIDGE_SOURCES", "1", "unknown setting WPBRIDGE_SOURCES"),
            ("WPBRIDGE_BATCH_SIZE", "many", "WPBRIDGE_BATCH_SIZE expects a whole number"),
            ("WPBRIDGE_BATCH_SIZE", "٣", "WPBRIDGE_BATCH_SIZE expects a whole number"),
            ("WPBRIDGE_WEBHOOKS", "s3cret", "WPBRIDGE_WEBHOOKS expects HOOK=URL"),
        ],
    )
    def test_what_is_wrong_is_named(self, cwd: Path, name: str, value: str, problem: str) -> None:
        assert problem in refused(cwd, {name: value})

    def test_variables_of_others_do_not_matter(self, cwd: Path) -> None:
        env = {"WPBRIDGE_GOLDEN_DIR": "x", "WPBRIDGE_TEST_X": "y", "BATCH_SIZE": "z"}
        assert read(cwd, env) == Settings()

    @pytest.mark.parametrize(
        ("env", "color"),
        [
            ({}, None),
            ({"NO_COLOR": "1"}, False),
            ({"NO_COLOR": ""}, None),
            ({"FORCE_COLOR": "1"}, True),
            ({"NO_COLOR": "1", "WPBRIDGE_COLOR": "true"}, True),
        ],
    )
    def test_color(self, cwd: Path, env: dict[str, str], color: bool | None) -> None:
        assert read(cwd, env).color is color


class TestFlags:
    @pytest.mark.parametrize(
        ("told", "seconds"),
        [
            ("55s", 55),
            ("10m", 600),
            ("1h30m", 5400),
            ("90", 90),
            (90, 90),
            (1.5, 1.5),
            ("0.5s", 0.5),
            ("1d", 86400),
            (timedelta(minutes=2), 120),
            ("1h 5s", 3605),
        ],
    )
    def test_times(self, cwd: Path, told: Any, seconds: float) -> None:
        assert read(cwd, max_time=told).max_time == timedelta(seconds=seconds)

    def test_no_time_is_no_limit(self, cwd: Path) -> None:
        assert read(cwd, max_time="0").max_time is None

    @pytest.mark.parametrize("told", ["a,b", ("a", "b"), ["a,b", "a"]])
    def test_lists(self, cwd: Path, told: object) -> None:
        assert read(cwd, hooks=told).hooks == ("a", "b")

    def test_webhooks(self, cwd: Path) -> None:
        settings = read(cwd, webhooks=("a=https://x/?q=1",))
        assert settings.webhooks == {"a": Webhook(url="https://x/?q=1")}

    def test_a_wrong_one_is_named_as_it_was_typed(self, cwd: Path) -> None:
        assert refused(cwd, batch_size=0) == (
            "--batch-size expects a whole number from 1 to 10000, not 0"
        )
        assert "did you mean batch_size?" in refused(cwd, bach_size=1)


class TestSeveralFaults:
    """Whoever mends settings wants to know everything that is wrong with them."""

    FILE = """
batches = 3
[sight]
[run]
bach_size = 1
concurrency = 0
format = "xml"
[site]
dsn = "s3cret"
[[routes]]
to = "perl"
hok = "a"
[[routes]]
to = "php"
[[limits]]
group = "a"
pause_after = 0
burst = 3
[webhooks]
a = { url = "ftp://s3cret", timeout = 0, secret_env = "NOT" }
b = "https://x/"
"""

    def test_all_are_told_with_their_places_in_a_stable_order(self, cwd: Path) -> None:
        file = cwd / "wpbridge.toml"
        file.write_text(self.FILE)
        env = {
            "WPBRIDGE_BACH_SIZE": "1",
            "WPBRIDGE_MAX_TIME": "soon",
            "WPBRIDGE_TRUST": "perhaps",
        }
        flags = {"max_actions": -1, "tz": "Mars", "url": "http://[", "config": None}
        told = refused(cwd, env, **flags)
        where = f"file {file}: "
        assert told.split("\n") == [
            "WPBRIDGE_TRUST expects true or false, not 'perhaps'",
            f"{file}: batches belongs below [run]",
            f"{file}: unknown setting sight; did you mean site?",
            f"{file} [run]: unknown setting bach_size; did you mean batch_size?",
            f"{file}: concurrency expects a whole number from 1 to 1000, or two of them such as 1..1000, not 0",
            f"{file}: format expects text or table or json or jsonl or csv or yaml or ids or count, not 'xml'",
            f"{where}route 1: unknown setting hok; did you mean hook?",
            f"{where}route 1: to is python, webhook, php, celery or leave",
            f"{where}route 2: name a hook, a group, or both (patterns may use * and ?)",
            f"{where}limit 1: unknown setting burst; known: group, hook, max_concurrency, pause_after, pause_for, rate",
            f"{where}limit 1: pause_after is a whole number from 1 to 1000000",
            f"{where}limit 1: pause_after counts the failures of a hook, not of a group",
            f"{where}webhook a: url is one that begins with https:// or http://",
            f"{where}webhook a: the variable NOT of secret_env is not set",
            f'{where}webhook a: timeout is a time such as 30 or "30s", a day at most',
            "the environment: unknown setting WPBRIDGE_BACH_SIZE; did you mean WPBRIDGE_BATCH_SIZE?",
            'WPBRIDGE_MAX_TIME expects a time such as 90, "55s", "10m" or "1h30m", not \'soon\'',
            "--max-actions expects a whole number from 0 to 2147483648, not -1",
            "--tz expects site, UTC or a time zone such as Europe/Rome, not 'Mars'",
            "the DSN cannot be read; it looks like mysql://user:password@host:3306/database or sqlite:///file.db",
            "--url http://[ is no address",
        ]
        assert refused(cwd, env, **flags) == told

    @pytest.mark.parametrize("text", ["[run", "\xff", None])
    def test_a_file_that_cannot_be_read_hides_no_other_fault(
        self, cwd: Path, text: str | None
    ) -> None:
        """Its own variables are not known then, so no variable is called unknown."""
        if text is not None:
            (cwd / "a.toml").write_bytes(text.encode("latin-1"))
        env = {"WPBRIDGE_SECRET_OF_A_HOOK": "x", "WPBRIDGE_VERBOSE": "9"}
        about_file, *others = refused(cwd, env, config="a.toml", batch_size=0).split("\n")
        assert about_file.startswith((f"{cwd / 'a.toml'} is n", "the settings file"))
        assert others == [
            "WPBRIDGE_VERBOSE expects a whole number from 0 to 2, not '9'",
            "--batch-size expects a whole number from 1 to 10000, not 0",
        ]

    def test_each_fault_is_one_line(self, cwd: Path) -> None:
        (cwd / "wpbridge.toml").write_text('[run]\n"a\\nb" = 1\nbatches = -1\n')
        assert refused(cwd).count("\n") == 1

    def test_one_alone_keeps_its_kind(self, cwd: Path) -> None:
        (cwd / "wpbridge.toml").write_text("")
        (cwd / "wpbridge.toml").chmod(0o666)
        with pytest.raises(NotObeyed):
            read(cwd)
        assert refused(cwd, batches=-1).count("\n") == 1


@pytest.mark.parametrize(
    ("told", "bounds"),
    [
        (3, Bounds(3, 3)),
        ("3", Bounds(3, 3)),
        ("1..8", Bounds(1, 8)),
        (" 2 .. 64 ", Bounds(2, 64)),
        ("5..5", Bounds(5, 5)),
        *[(wrong, None) for wrong in (0, 65, True, 1.5, None, "", "..", "1..", "..8", "8..1")],
        *[(wrong, None) for wrong in ("1...8", "1..8..9", "0..3", "1..65", "a..b", [1, 8], "1-8")],
        ("\u0661..\u0668", None),
    ],
)
def test_a_number_may_be_two_bounds(cwd: Path, told: object, bounds: Bounds | None) -> None:
    if bounds is not None:
        assert read(cwd, processes=told).processes == bounds
        assert bounds_of(str(bounds), 1, 64) == bounds
        return
    with pytest.raises(
        NotBounds, match=r"a whole number from 1 to 64, or two of them such as 1..64"
    ):
        bounds_of(told, 1, 64)


@pytest.mark.parametrize("told", ["0", "0.5s", "soon", "-5s", "20000d"])
def test_the_wait_that_advice_aims_at_is_a_second_or_more(cwd: Path, told: str) -> None:
    with pytest.raises(ConfigError, match="a time of a second or more"):
        read(cwd, advise_target_wait=told)
