"""The companion plugin in a real WordPress, beside the real plugin.

Needs php, Debian's WordPress, MariaDB and the plugin's folder in WPBRIDGE_TEST_PLUGIN; left out,
with the reason, without one of them.
"""

import base64
import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from companion_site import (
    CLAIM,
    RUN,
    Site,
    emptied_site,
    made_wordpress,
    run_php,
)
from rows import change, column, query
from stores import way_of
from wpbridge import __version__
from wpbridge.access.caller import NotKnown
from wpbridge.access.callers import Callers
from wpbridge.clock import SystemClock
from wpbridge.codec.signing import USES
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Companion, Ownership, Rule
from wpbridge.plugin.entrance import Entrance
from wpbridge.plugin.own_hooks import OwnHooks
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site as Place
from wpbridge.site.rules import Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Pause
from wpbridge.store.structure.creation import create_tables

__all__ = ["emptied_site", "made_wordpress"]

ADDRESS = DatabaseAddress.from_dsn("sqlite://")
Kind: TypeAlias = Literal["all", "hook", "group"]


def pause(site: Site, kind: Kind, name: str, ends_in: timedelta | None = None) -> None:
    """As wpbridge pauses; also until a moment that is past by now."""
    now = SystemClock().now()
    until = None if ends_in is None else now + ends_in
    found = Pause(kind=kind, name=name, until=until, reason="the <b>reason</b>")
    site.store.parts.pauses.add([found], now=now)


def test_the_harness_takes_everything_without_the_companion(site: Site) -> None:
    site.add("a", "b")
    site.add("c", group="shop")
    assert site.claimed() == ["a", "b", "c@shop"]


def test_with_nothing_owned_and_without_our_tables_nothing_changes(site: Site) -> None:
    site.add("a", "b")
    site.install(Ownership())
    assert site.claimed() == ["a", "b"]
    assert site.php("$told = ActionScheduler::runner()->get_allowed_concurrent_batches();") == 1


def test_claims_pass_over_owned_hooks_exactly(site: Site) -> None:
    # The first four are equal for the table's collation.
    site.add("my_hook", "MY_HOOK", "my_höök", "my_hook ", "myxhook", "other")
    site.install(Ownership(hooks=("my_hook",)))
    assert site.claimed() == sorted(["MY_HOOK", "my_höök", "my_hook ", "myxhook", "other"])


def test_claims_pass_over_patterns_and_their_signs_are_plain(site: Site) -> None:
    site.add("sync_a", "syncXa", "SYNC_a", "50%_x", "50x_x", "mail!1", "mailx1", "é1", "12", "z")
    rules = [Rule(hook=hook) for hook in ("sync_*", "50%*", "*!1", "?1")]
    site.install(Ownership(rules=tuple(rules)))
    assert site.claimed() == sorted(["syncXa", "SYNC_a", "50x_x", "mailx1", "12", "z"])


def test_claims_pass_over_owned_groups_and_pairs(site: Site) -> None:
    site.add("a", "b", group="shop")
    site.add("a", "b", group="mail-1")
    site.add("a", "b", group="news")
    site.add("a", "b")
    site.install(Ownership(rules=(Rule(group="mail-*"), Rule(hook="a", group="news"))))
    assert site.claimed() == ["a", "a@shop", "b", "b@news", "b@shop"]


def test_an_empty_group_means_actions_without_one(site: Site) -> None:
    site.add("a")
    site.add("a", group="shop")
    (old,) = site.add("b")
    change(
        site.store,
        "UPDATE wp_actionscheduler_actions SET group_id = 0 WHERE action_id = :i",
        i=old,
    )
    site.install(Ownership(rules=(Rule(group=""),)))
    assert site.claimed() == ["a@shop"]


def test_the_first_rule_decides_and_upkeep_stays_with_php(site: Site) -> None:
    settings = Settings(
        routes=(
            Route(hook="a_php", to="leave"),
            Route(hook="a_*", to="php"),
            Route(group="left", to="leave"),
            Route(hook="*", to="webhook"),
        )
    )
    upkeep = "action_scheduler_run_actions_cleanup_hook"
    site.add("a_php", "a_1", "b", upkeep)
    site.add("b", group="left")
    site.install(companion.owned(settings, ["a_php"]))
    assert site.claimed() == sorted(["a_php", "b@left", upkeep])


def test_a_group_nobody_has_yet_owns_nothing(site: Site) -> None:
    site.add("a")
    site.install(Ownership(rules=(Rule(group="nowhere"),)))
    assert site.claimed() == ["a"]


def test_hostile_names_are_only_names(site: Site) -> None:
    hostile = ["a') OR ('1'='1", "b\\", "?>x", "c\0d", "e%s%1$d", "<b>'\"", "f😀"]
    site.add("plain", *hostile)
    site.install(Ownership(hooks=tuple(hostile), rules=(Rule(hook="g'*\\"), Rule(group="h\0'*"))))
    assert site.claimed() == ["plain"]


@pytest.mark.parametrize("kind", ["hook", "group", "all"])
def test_claims_pass_over_what_is_paused(site: Site, kind: Kind) -> None:
    site.add("slow", "SLOW")
    site.add("x", group="slow")
    site.install(Ownership())
    pause(site, kind, "slow" if kind != "all" else "")
    left = {"hook": ["SLOW", "x@slow"], "group": ["SLOW", "slow"], "all": []}
    assert site.claimed() == left[kind]


def test_a_pause_ends_by_itself(site: Site) -> None:
    site.add("ended", "goes-on")
    site.install(Ownership())
    pause(site, "hook", "goes-on", timedelta(hours=1))
    pause(site, "hook", "ended", timedelta(seconds=-5))
    assert query(site.store, "SELECT COUNT(*) FROM wp_wpbridge_pauses")[0][0] == 2
    assert site.claimed() == ["ended"]


OWN = ("wpbridge_callback", "wpbridge_", "wpbridge_of_a_later_release")
LIKE_OWN = ("WPBRIDGE_callback", "Wpbridge_x", "wpbridgexcallback", "wpbridge", "wpbridgé_x", "x")


def test_without_the_companion_php_fails_wpbridges_own_hooks(site: Site) -> None:
    [callback] = site.add("wpbridge_callback", group="wpbridge")
    assert site.php(RUN) == 1
    assert column(site.store, "status", callback) == "failed"


def test_php_neither_claims_nor_fails_wpbridges_own_hooks(site: Site) -> None:
    ids = site.add(*OWN, group="wpbridge")
    site.add(*LIKE_OWN)
    site.install(Ownership())
    assert site.claimed() == sorted(LIKE_OWN)
    known = f"foreach ({json.dumps(LIKE_OWN)} as $hook) add_action($hook, function () {{}});"
    assert site.php(f"{known} {RUN}") == len(LIKE_OWN)
    assert {column(site.store, "status", one) for one in ids} == {"pending"}
    assert site.php(OFF) == [True, False]


def test_the_companion_says_in_an_option_that_it_is_loaded(site: Site) -> None:
    """What a gateway goes by that cannot see the files of the WordPress."""
    seen = Place(name="", database=ADDRESS, base_prefix="wp_", table_prefix="wp_")
    folder = site.content / "mu-plugins"
    near = replace(seen, mu_plugins=folder)
    store = site.store.parts
    change(site.store, "DELETE FROM wp_options WHERE option_name = 'wpbridge_companion'")

    def refusals() -> list[str | None]:
        return [OwnHooks(Settings(), place).refusal(store) for place in (near, seen)]

    for refusal in refusals():
        assert refusal is not None
        assert "`wpbridge wp install-plugin`" in refusal
    assert OwnHooks(Settings(owns_site=True), near).refusal(store) is None
    site.install(Ownership())
    assert [refusal is None for refusal in refusals()] == [True, False]
    told = "$told = get_option('wpbridge_companion');"
    assert site.php(told) == f"{__version__} own-hooks"
    assert refusals() == [None, None]
    companion.install(folder, "wp_2_", Ownership())
    companion.remove(folder, "wp_")
    assert refusals()[0] is not None
    change(site.store, "DELETE FROM wp_options WHERE option_name = 'wpbridge_companion'")
    assert site.php(told) is False, "it speaks for the sites that it has been told of"


def test_another_plugins_order_is_kept(site: Site) -> None:
    ids = site.add("b", "a", "owned")
    site.install(Ownership(hooks=("owned",)))
    code = "add_filter('action_scheduler_claim_actions_order_by', function () { return 'ORDER BY action_id DESC'; }, 99);"
    claim = "$told = ActionScheduler::store()->stake_claim(1)->get_actions();"
    assert site.php(code + claim) == [ids[1]]


def test_claims_of_wpbridge_do_not_block_the_plugin(site: Site) -> None:
    create_tables(way_of(site.store), everything=False)
    site.add("mine", "theirs")
    site.store.register(host="here", boot="boot", pid=1, pid_started="1")
    now = SystemClock().now()
    claim = site.store.claim_due(now=now, limit=5, only=ClaimFilter(hooks=frozenset({"mine"})))
    assert claim is not None
    blocked = site.php(f"add_action('theirs', function () {{}}); {RUN}")
    assert blocked == 0, "without the companion the plugin waits"
    site.install(Ownership(hooks=("mine",)))
    assert site.php(f"add_action('theirs', function () {{}}); {RUN}") == 1
    rows = query(
        site.store, "SELECT hook, status, claim_id FROM wp_actionscheduler_actions ORDER BY 1"
    )
    assert [tuple(row)[:2] for row in rows if row[0] in {"mine", "theirs"}] == [
        ("mine", "pending"),
        ("theirs", "complete"),
    ]
    assert rows[[row[0] for row in rows].index("mine")][2] == claim.id


def test_only_claims_with_rows_are_counted(site: Site) -> None:
    create_tables(way_of(site.store), everything=False)
    site.install(Ownership())
    change(
        site.store,
        "INSERT INTO wp_wpbridge_runners (host, boot, pid, pid_started, version, started_gmt,"
        " beat_gmt, claims, once) VALUES ('h','b',1,'1','0',UTC_TIMESTAMP(),UTC_TIMESTAMP(),'7,8,9','')",
    )
    first, second = site.add("a", "b")
    for action, claim, status in ((first, 7, "in-progress"), (second, 8, "complete")):
        change(
            site.store,
            "UPDATE wp_actionscheduler_actions SET claim_id = :c, status = :s WHERE action_id = :i",
            c=claim,
            s=status,
            i=action,
        )
    assert site.php("$told = ActionScheduler::runner()->get_allowed_concurrent_batches();") == 2


OFF = r"""
$told = [
  (bool) has_action('action_scheduler_run_queue', [ActionScheduler::runner(), 'run']),
  apply_filters('action_scheduler_allow_async_request_runner', true),
];
"""


def test_owning_the_site_switches_phps_runners_off(site: Site) -> None:
    site.add("a")
    assert site.php(OFF) == [True, True]
    site.install(Ownership(owns_site=True))
    assert site.php(OFF) == [False, False]
    assert site.claimed() == []
    assert site.php(f"add_action('a', function () {{}}); {RUN}") == 0


def test_a_caller_can_let_php_run_all_the_same(site: Site) -> None:
    site.add("a", "kept")
    site.install(Ownership(owns_site=True, hooks=("kept",)))
    allow = "add_filter('wpbridge_allow_php_runner', '__return_true');"
    assert [hook for hook, _ in site.php(f"{allow} {CLAIM}")] == ["a"]


def test_inside_a_worker_nothing_is_held_back(site: Site) -> None:
    site.add("a")
    site.install(Ownership(owns_site=True, hooks=("a",)))
    pause(site, "all", "")
    assert site.claimed("define('WPBRIDGE_WORKER', 1);") == ["a"]


def test_another_site_of_the_network_is_not_concerned(site: Site) -> None:
    site.add("a")
    companion.install(site.content / "mu-plugins", "wp_2_", Ownership(owns_site=True))
    assert site.claimed() == ["a"]


def test_loopback_requests_stop_when_only_owned_rows_are_due(site: Site) -> None:
    site.add("owned")
    site.install(Ownership(hooks=("owned",)))
    assert site.php(OFF) == [True, False]
    site.add("theirs")
    assert site.php(OFF) == [True, True]


def test_a_damaged_configuration_owns_nothing(site: Site) -> None:
    site.add("a")
    site.install(Ownership(hooks=("a",)))
    file = site.content / "mu-plugins" / "wpbridge.php"
    for broken in (b'{"sites"', b'{"sites":{"wp_":3}}', b"[]", b"null"):
        source = companion.LINE.pattern.sub(
            lambda m, told=broken: m[1] + told + m[3],  # type: ignore[misc]  # mypy takes the default for a parameter
            file.read_bytes(),
        )
        file.write_bytes(source)
        assert site.claimed() == ["a"]


def test_without_the_plugin_the_site_works(site: Site, tmp_path: Path) -> None:
    site.install(Ownership(owns_site=True, hooks=("a",)))
    (tmp_path / "action-scheduler.php").write_text("<?php")
    bare = Site(
        store=site.store, content=site.content, env={**site.env, "LAB_PLUGIN": str(tmp_path)}
    )
    code = "$told = [class_exists('ActionScheduler'), apply_filters('site_status_tests', [])];"
    assert bare.php(code) == [False, []]


HEALTH = r"""
require_once ABSPATH . 'wp-admin/includes/admin.php';
$tests = apply_filters('site_status_tests', ['direct' => []]);
$told = call_user_func($tests['direct']['wpbridge']['test']);
"""


def test_site_health_says_who_runs_what(site: Site) -> None:
    site.install(Ownership(hooks=("<i>mine</i>",), rules=(Rule(hook="x*", group=""),)))
    pause(site, "group", "slow")
    told = site.php(HEALTH)
    assert told["status"] == "good"
    assert "hook x* in no group, hook &lt;i&gt;mine&lt;/i&gt;" in told["description"]
    assert "group slow until resumed (the &lt;b&gt;reason&lt;/b&gt;)" in told["description"]
    assert "it has not run here yet" in told["description"]
    fields = site.php("$told = apply_filters('debug_information', [])['wpbridge']['fields'];")
    assert fields["owns"]["value"].startswith("wpbridge runs hook x*")
    assert fields["claims"]["value"] == "none"


def test_site_health_warns_of_overdue_actions_and_no_runner(site: Site) -> None:
    create_tables(way_of(site.store), everything=False)
    site.install(Ownership(hooks=("mine",)))
    site.add("theirs", due_in=-3600)
    site.add("mine", due_in=-60)
    assert site.php(HEALTH)["status"] == "good"
    site.add("mine", due_in=-3600)
    assert site.php(HEALTH)["status"] == "recommended"
    site.store.register(host="here", boot="boot", pid=1, pid_started="1")
    assert site.php(HEALTH)["status"] == "good"
    change(site.store, "UPDATE wp_wpbridge_runners SET beat_gmt = beat_gmt - INTERVAL 1 HOUR")
    told = site.php(HEALTH)
    assert told["status"] == "recommended"
    assert "1 of its actions have been due" in told["description"]
    pause(site, "hook", "mine")
    assert site.php(HEALTH)["status"] == "good"


LINKS = f"""
$tools = 'http://lab.test/wp-admin/tools.php?page=wpbridge';
wp_set_current_user(USER);
{HEALTH}
preg_match_all('~<a href="([^"]+)">([^<]+)</a>~', $told['actions'], $found);
$told = array_map(null, array_map('html_entity_decode', $found[1]), $found[2]);
"""


def test_site_health_links_to_the_action_that_waits_for_longest(site: Site) -> None:
    create_tables(way_of(site.store), everything=False)
    site.install(Ownership(hooks=("mine",), dashboard=Entrance(url="https://queue.example")))
    tools = "http://lab.test/wp-admin/tools.php?page=wpbridge"
    assert site.php(LINKS.replace("USER", "1")) == [[tools, "Open the dashboard of wpbridge"]]
    site.add("theirs", due_in=-9000)
    later, oldest = (site.add("mine", due_in=due)[0] for due in (-3600, -7200))
    assert later < oldest
    links = [
        [f"{tools}&to=%2Factions%2F{oldest}", f"See why action {oldest} waits"],
        [f"{tools}&to=%2Factions%3Fstatus%3Dpending", "See all actions that wait"],
    ]
    assert site.php(LINKS.replace("USER", "1")) == links
    assert site.php(LINKS.replace("USER", "0")) == [], "they lead whom the dashboard lets in"
    site.install(Ownership(hooks=("mine",)))
    assert site.php(LINKS.replace("USER", "1")) == []


NOTICE = r"""
require_once ABSPATH . 'wp-admin/includes/admin.php';
wp_set_current_user(USER); set_current_screen('SCREEN');
ob_start(); Wpbridge_Companion::notice(); $told = ob_get_clean();
"""


KEYS_OF = """
$keys_of = function ($use, $prefix = null) {
  return array_map('bin2hex', wpbridge_signing_keys($use, $prefix));
};
"""


def test_php_derives_the_keys_that_python_derives(site: Site) -> None:
    site.install(Ownership())
    secrets = site.store.parts.signing
    secrets.make()
    secrets.rotate(expected=secrets.stored()[0].fingerprint)
    code = """
    foreach (Wpbridge_Companion::USES as $use) $told['keys'][$use] = $keys_of($use);
    $told['last'] = $wpdb->last_result;
    $told['none'] = [$keys_of('Wake'), $keys_of(''), $keys_of(0), $keys_of(null), $keys_of(true)];
    $told['elsewhere'] = $keys_of('wake', 'wp_9_');
    $wpdb->query("DELETE FROM wp_wpbridge_secrets WHERE place = 'current'");
    $told['kept'] = $keys_of('wake') === $told['keys']['wake'];
    """
    expected = {use: [key.hex() for key in secrets.keys(use)] for use in USES}
    told = site.php(KEYS_OF + code)
    assert told["keys"] == expected
    assert [len(keys) for keys in expected.values()] == [2] * len(USES)
    assert not told["last"], "the secrets do not stay in memory that other plugins show"
    assert told["none"] == [[]] * 5
    assert told["elsewhere"] == []
    assert told["kept"], "the table is read once for a request"


def test_php_has_no_keys_without_the_table_or_with_a_damaged_secret(site: Site) -> None:
    site.install(Ownership())
    code = "$told = [$keys_of('wake'), $wpdb->last_error];"
    site.store.parts.own.drop()
    assert site.php(KEYS_OF + code) == [[], ""]
    site.store.parts.signing.make()
    change(site.store, "UPDATE wp_wpbridge_secrets SET secret = CONCAT(LEFT(secret, 63), 'A')")
    assert site.php(KEYS_OF + code) == [[], ""]


def test_php_mints_tickets_that_python_reads(site: Site) -> None:
    """Args come back from a browser, which has read them as JSON."""
    site.install(Ownership())
    site.store.parts.signing.make()
    values = r"""[[], [1, 2], ['order' => 17, 'to' => "\u{e9}/<'\"\u{1F600}"], ['a' => [], 'b' => null],
      ['x' => 1.0, 'y' => 0.1, 'z' => 1e25, 'big' => 9007199254740993], [3 => true], ['o' => new stdClass]]"""
    code = f"""
    foreach ({values} as $args) {{
      $told[] = [json_decode(json_encode($args)), wpbridge_ticket('send_mail', $args, 600, 'mail')];
    }}
    """
    callers = Callers(site.store.parts)
    told = site.php(code)
    assert len(told) == 7
    tickets = [callers.identify(f"Bearer {token}", None, "").ticket for _, token in told]
    assert len({ticket.id for ticket in tickets if ticket}) == 7
    for (args, _), ticket in zip(told, tickets, strict=True):
        assert ticket is not None
        assert ticket.fits("send_mail", "mail", args), args
        assert not ticket.fits("send_mail", "", args)
        assert not ticket.fits("send_mail", "mail", ["other"])


def test_application_passwords_of_a_real_wordpress_are_known(site: Site) -> None:
    code = """
    $editor = username_exists('ed');
    $editor = $editor ? $editor : wp_insert_user(['user_login' => 'ed', 'user_pass' => 'own password', 'role' => 'editor']);
    foreach ([1, $editor] as $id) {
      WP_Application_Passwords::delete_all_application_passwords($id);
      WP_Application_Passwords::create_new_application_password($id, ['name' => 'other']);
      list($password) = WP_Application_Passwords::create_new_application_password($id, ['name' => 'ci']);
      $told[] = [get_userdata($id)->user_login, WP_Application_Passwords::chunk_password($password)];
    }
    """
    callers = Callers(
        site.store.parts,
        wordpress_login=True,
        roles={"manage_options": ("operate",), "edit_others_posts": ("read",)},
    )

    def rights(login: str, password: str) -> set[str]:
        pair = base64.b64encode(f"{login}:{password}".encode()).decode()
        return set(callers.identify(f"Basic {pair}", None, "").rights)

    admin, editor = site.php(code)
    assert rights(*admin) == {"operate", "read"}
    assert rights(*editor) == {"read"}
    for login, password in (("ed", "own password"), ("admin", editor[1]), ("admin", "admin")):
        with pytest.raises(NotKnown):
            rights(login, password)


def test_php_mints_no_ticket_for_what_no_action_can_have_or_without_a_secret(site: Site) -> None:
    site.install(Ownership())
    site.store.parts.signing.make()
    code = r"""
    $wrong = [['', []], ['h', 'text'], ['h', ["\xff"]], ['h', [NAN]], ['h', [], 0], ['h', [], 901]];
    foreach ($wrong as $given) $told[] = wpbridge_ticket(...$given);
    $told[] = is_string(wpbridge_ticket('h'));
    """
    assert site.php(code) == [None] * 6 + [True]
    site.store.parts.own.drop()
    assert site.php("$told = [wpbridge_ticket('h'), $wpdb->last_error];") == [None, ""]


def test_the_admin_screen_tells_administrators_and_nobody_else(site: Site) -> None:
    site.install(Ownership(hooks=("<script>",)))
    tools = NOTICE.replace("SCREEN", "tools_page_action-scheduler")
    told = site.php(tools.replace("USER", "1"))
    assert "hook &lt;script&gt;" in told
    assert "<script" not in told
    assert site.php(tools.replace("USER", "0")) == ""
    assert site.php(NOTICE.replace("SCREEN", "dashboard").replace("USER", "1")) == ""
    shop = NOTICE.replace("SCREEN", "woocommerce_page_wc-status").replace("USER", "1")
    assert site.php(shop) == ""
    assert "wpbridge runs" in site.php(f"$_GET['tab'] = 'action-scheduler'; {shop}")


@pytest.mark.parametrize(
    "name", ["x", "?>", "'", "\\", "\\'", "\0", "\n", "*/", "</script>", "é😀"]
)
def test_what_is_rendered_is_php_that_holds_the_names(tmp_path: Path, name: str) -> None:
    if shutil.which("php") is None:
        pytest.skip("php is not installed")
    ownership = Ownership(hooks=(name,), rules=(Rule(hook=name, group=name),))
    file = tmp_path / "wpbridge.php"
    file.write_bytes(companion.render(companion.template(), Companion(sites={name: ownership})))
    checked = subprocess.run(["php", "-l", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    code = f"define('ABSPATH', '/'); function add_filter() {{}} function add_action() {{}} require '{file}'; echo WPBRIDGE_COMPANION;"
    told = json.loads(run_php(code, os.environ))
    assert told["sites"][name]["hooks"] == [name]
    assert told["sites"][name]["rules"] == [{"hook": name, "group": name, "owned": True}]
