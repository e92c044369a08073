"""Where a hook's actions go: each rule, their order, and what a run may claim by them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wpbridge import app
from wpbridge.action import BULK_HOOK, CALLBACK_HOOK, UPKEEP_HOOKS
from wpbridge.errors import ConfigError
from wpbridge.executors.handlers import Handler, describe
from wpbridge.executors.routes import Decision, Routes
from wpbridge.site.config import Settings, load
from wpbridge.site.rules import Route, Webhook

UPKEEP = "action_scheduler_run_actions_cleanup_hook"
NOTHING = "no handler is here, and php is off"


def table(
    *routes: Route,
    python: Sequence[str] = (),
    webhooks: Sequence[str] = (),
    php: bool = False,
    owns_site: bool = False,
) -> Routes:
    named = {hook: f"shop.{hook}" for hook in python}
    return Routes(routes, python=named, webhooks=webhooks, php=php, owns_site=owns_site)


def takes(pattern: str, text: str) -> bool:
    """Whether a route with the pattern decides, for hooks; groups are to answer the same."""
    by_hook = table(Route(hook=pattern, to="php"), php=True).decide(text, "").why == "route 1"
    by_group = table(Route(group=pattern, to="php"), php=True).decide("h", text).why == "route 1"
    assert by_hook is by_group
    return by_hook


# The rules, in order.


@pytest.mark.parametrize(
    ("routes", "to", "why"),
    [
        (table(python=["a"]), "python", "handler shop.a"),
        (table(webhooks=["a"]), "webhook", "webhook"),
        (table(php=True), "php", "php is on, and no handler is here"),
        (table(), "leave", NOTHING),
        (table(python=["a"], php=True), "python", "handler shop.a"),
        (table(webhooks=["a"], php=True), "webhook", "webhook"),
        (table(python=["A"], webhooks=["á"]), "leave", NOTHING),
        (table(Route(hook="b", to="leave"), python=["a"]), "python", "handler shop.a"),
        (table(Route(hook="a", to="leave"), python=["a"]), "leave", "route 1"),
        (table(Route(hook="a", to="python"), python=["a"]), "python", "route 1"),
        (table(Route(hook="a", to="webhook"), webhooks=["a"]), "webhook", "route 1"),
        (table(Route(hook="a", to="php"), python=["a"], php=True), "php", "route 1"),
    ],
)
def test_routes_go_before_handlers_before_webhooks_before_php(
    routes: Routes, to: str, why: str
) -> None:
    found = routes.decide("a", "")
    assert (found.to, found.why) == (to, why)


def test_a_handler_goes_before_a_webhook_and_a_route_chooses_the_other() -> None:
    assert table(python=["a"], webhooks=["a"]).decide("a", "").to == "python"
    chosen = table(Route(hook="a", to="webhook"), python=["a"], webhooks=["a"])
    assert chosen.decide("a", "") == Decision("webhook", "route 1")


def test_the_first_route_that_matches_decides_and_is_named_by_its_number() -> None:
    routes = table(
        Route(hook="x", to="leave"),
        Route(hook="a_*", group="slow", to="leave"),
        Route(hook="a_*", to="php"),
        Route(hook="a_1", to="python"),
        python=["a_1", "x"],
        php=True,
    )
    assert routes.decide("a_1", "slow") == Decision("leave", "route 2")
    assert routes.decide("a_1", "fast") == Decision("php", "route 3")
    assert routes.decide("x", "") == Decision("leave", "route 1")


@pytest.mark.parametrize(
    ("to", "missing"),
    [("python", "there is no handler"), ("webhook", "there is no webhook"), ("php", "php is off")],
)
def test_a_route_to_what_is_not_there_leaves_the_action_and_says_so(to: str, missing: str) -> None:
    """Nor does a later rule take what the route meant for another."""
    routes = table(
        Route(hook="z", to="leave"),
        Route(hook="a", to=to),  # type: ignore[arg-type]
        Route(hook="a", to="webhook" if to == "python" else "python"),
        python=[] if to == "python" else ["a"],
        webhooks=[] if to == "webhook" else ["a"],
    )
    assert routes.decide("a", "") == Decision("leave", f"route 2 says {to}, but {missing}")


@pytest.mark.parametrize("hook", sorted(UPKEEP_HOOKS))
@pytest.mark.parametrize(
    ("owns_site", "php", "to", "why"),
    [
        (False, False, "leave", "the plugin's own upkeep; owns_site is off"),
        (False, True, "leave", "the plugin's own upkeep; owns_site is off"),
        (True, False, "leave", "the plugin's own upkeep needs php, which is off"),
        (True, True, "php", "the plugin's own upkeep; owns_site is on"),
    ],
)
def test_the_plugins_upkeep_goes_before_all_routes_and_handlers(
    hook: str, owns_site: bool, php: bool, to: str, why: str
) -> None:
    routes = table(
        Route(hook="*", to="leave" if to == "php" else "python"),
        python=[hook],
        php=php,
        owns_site=owns_site,
    )
    assert routes.decide(hook, "g") == Decision(to, why)  # type: ignore[arg-type]
    assert routes.accepts(hook, "g") is routes.may_accept(hook) is (to == "php")


def test_owning_the_site_changes_nothing_for_other_hooks() -> None:
    hook = f"{UPKEEP}_"
    for owns_site in (True, False):
        assert table(python=[hook], owns_site=owns_site).decide(hook, "").to == "python"


# Patterns.


@pytest.mark.parametrize(
    ("pattern", "text", "is_taken"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("a*", "A1", False),
        ("é", "e", False),
        ("a", "ab", False),
        ("a", "ba", False),
        ("a*", "a", True),
        ("a*", "a_b/c.d", True),
        ("*a", "aba", True),
        ("*b", "aba", False),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcdef", False),
        ("*", "", True),
        ("**", "a", True),
        ("a?", "ab", True),
        ("a?", "a", False),
        ("a?", "abc", False),
        ("?", "é", True),
        ("?*", "", False),
        ("a*b", "a\nb", True),
        ("a?b", "a\nb", True),
        ("a", "a\n", False),
        ("a*", "a\n", True),
        ("a ", "a", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("[*]", "[x]", True),
        ("[!a]", "b", False),
        ("a.c", "abc", False),
        ("a+", "aa", False),
        ("a|b", "a", False),
        ("(a)", "a", False),
        ("^a$", "a", False),
        (r"\*", "*", False),
        (r"\*", r"\x", True),
        ("{a,b}", "a", False),
        ("a%", "ab", False),
        ("a_", "ab", False),
    ],
)
def test_only_star_and_question_mark_are_special(pattern: str, text: str, is_taken: bool) -> None:
    assert takes(pattern, text) is is_taken


def naive(pattern: str, text: str) -> bool:
    """Slow, and plain to see."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


@given(st.text("ab*?[\n", min_size=1, max_size=5), st.text("ab[*\n", max_size=5))
def test_patterns_match_as_the_plain_definition(pattern: str, text: str) -> None:
    assert takes(pattern, text) is naive(pattern, text)


def test_no_group_is_any_and_an_empty_one_is_none() -> None:
    anywhere = table(Route(hook="a", to="leave"), php=True)
    nowhere = table(Route(hook="a", group="", to="leave"), php=True)
    named = table(Route(hook="a", group="?*", to="leave"), php=True)
    assert [anywhere.accepts("a", group) for group in ("", "g")] == [False, False]
    assert [nowhere.accepts("a", group) for group in ("", "g")] == [False, True]
    assert [named.accepts("a", group) for group in ("", "g")] == [True, False]


def test_a_route_by_group_takes_every_hook_of_it() -> None:
    routes = table(Route(group="mail", to="leave"), php=True)
    assert not routes.accepts("anything", "mail")
    assert routes.accepts("anything", "")
    assert routes.accepts("mail", "Mail")


# What a run may claim.


def test_accepted_is_what_is_not_left() -> None:
    routes = table(Route(hook="b", to="python"), python=["a"], webhooks=["w"])
    assert [h for h in ("a", "b", "c", "w") if routes.accepts(h, "")] == ["a", "w"]
    assert [h for h in ("a", "b", "c", "w") if table(php=True).accepts(h, "")] == [*"abcw"]


def test_hooks_are_the_handlers_names_unless_php_may_take_any() -> None:
    left = Route(hook="a", to="leave")
    assert table(left, python=["a", "b"], webhooks=["w"]).hooks() == frozenset("abw")
    assert table().hooks() == frozenset()
    assert table(python=["a", "b"], webhooks=["w"], php=True).hooks() is None


@pytest.mark.parametrize(
    ("routes", "may"),
    [
        (table(Route(hook="a", to="leave"), php=True), False),
        (table(Route(hook="a*", group="*", to="leave"), php=True), False),
        (table(Route(group="**", to="leave"), php=True), False),
        (table(Route(hook="a", to="leave"), python=["a"]), False),
        (table(Route(hook="a", to="python"), php=True), False),
        (table(Route(hook="a", group="g", to="php")), False),
        (table(Route(hook="b", to="leave"), php=True), True),
        (table(Route(hook="a", group="", to="leave"), php=True), True),
        (table(Route(hook="a", group="?*", to="leave"), php=True), True),
        (
            table(Route(hook="a", group="g", to="php"), Route(hook="a", to="leave"), php=True),
            True,
        ),
        (table(Route(hook="a", group="g", to="leave"), python=["a"]), True),
    ],
)
def test_a_hook_that_is_left_in_every_group_is_not_looked_for(routes: Routes, may: bool) -> None:
    """php being on does not make it worth a walk over all its due rows."""
    assert routes.may_accept("a") is may


NAMES = ["a", "b", "ab", "A", "a\nb", "[a]", UPKEEP]
GROUPS = ["", "g", "G", "gh", "g\n"]
HOOK_PATTERNS = st.sampled_from([None, *NAMES, "*", "a*", "?", "*b", "[*", "action*"])
GROUP_PATTERNS = st.sampled_from([None, *GROUPS, "*", "**", "?", "?*", "g*"])
ROUTES = st.lists(
    st.builds(
        Route,
        hook=HOOK_PATTERNS,
        group=GROUP_PATTERNS,
        to=st.sampled_from(["python", "webhook", "php", "leave"]),
    ),
    max_size=4,
)


@given(
    ROUTES,
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
    st.booleans(),
    st.booleans(),
)
@example([Route(hook="a", group="", to="leave"), Route(to="php")], set(), set(), True, False)
@example([Route(group="g", to="php"), Route(to="leave")], set(), set(), True, False)
def test_what_is_accepted_in_any_group_may_be_accepted(
    told: list[Route], python: set[str], webhooks: set[str], php: bool, owns_site: bool
) -> None:
    routes = table(
        *told, python=sorted(python), webhooks=sorted(webhooks), php=php, owns_site=owns_site
    )
    known = routes.hooks()
    for hook in NAMES:
        if any(routes.accepts(hook, group) for group in GROUPS):
            assert routes.may_accept(hook)
            assert known is None or hook in known


# From settings.


def handlers(*hooks: str) -> dict[str, Handler]:
    return {hook: describe(hook, lambda: None) for hook in hooks}


def hook_filter(settings: Settings, found: Mapping[str, Handler]) -> tuple[object, ...]:
    only = app.claim_filter(settings, app.routes_of(settings, found))
    return only.hooks, only.upkeep


def test_routes_of_tells_python_from_webhooks_by_the_settings() -> None:
    settings = Settings(
        webhooks={"w": Webhook(url="https://example.com")},
        routes=(Route(hook="left", to="leave"),),
        owns_site=True,
    )
    routes = app.routes_of(settings, handlers("p", "w", "left"))
    assert routes.decide("p", "").why.startswith(f"handler {__name__}.")
    assert routes.decide("w", "") == Decision("webhook", "webhook")
    assert routes.decide("left", "") == Decision("leave", "route 1")
    assert routes.decide(UPKEEP, "").why == "the plugin's own upkeep needs php, which is off"
    assert routes.hooks() == frozenset({"p", "w", "left", BULK_HOOK, CALLBACK_HOOK})


@pytest.mark.parametrize(
    ("php", "owns_site"), [(p, o) for p in (True, False) for o in (True, False)]
)
def test_a_claim_is_for_what_has_a_handler_or_with_php_for_any_hook(
    php: bool, owns_site: bool
) -> None:
    found = hook_filter(Settings(php=php, owns_site=owns_site), handlers("a", "b"))
    assert found == (None if php else {"a", "b", BULK_HOOK, CALLBACK_HOOK}, php and owns_site)


def test_a_claim_is_narrowed_by_the_settings_and_judged_by_the_routes() -> None:
    settings = Settings(
        php=True,
        hooks=("a", "elsewhere"),
        groups=("g",),
        exclude_hooks=("b",),
        exclude_groups=("h",),
        routes=(Route(hook="a", group="x", to="leave"), Route(hook="l", to="leave")),
    )
    only = app.claim_filter(settings, app.routes_of(settings, handlers("a")))
    assert (only.hooks, only.groups) == (frozenset({"a", "elsewhere"}), frozenset("g"))
    assert (only.exclude_hooks, only.exclude_groups) == (frozenset("b"), frozenset("h"))
    assert only.accepts is not None
    assert only.may_accept is not None
    assert (only.accepts("a", "x"), only.accepts("a", "g")) == (False, True)
    assert (only.may_accept("a"), only.may_accept("l")) == (True, False)


def test_no_rule_and_no_handler_takes_over_a_hook_of_wpbridge() -> None:
    settings = Settings(routes=(Route(hook="*", to="php"), Route(group="*", to="leave")), php=True)
    routes = app.routes_of(settings, {})
    assert routes.decide(CALLBACK_HOOK, "wpbridge").to == "python"
    # One of a later release, and one that is not ours by its letters.
    assert routes.decide("wpbridge_later", "").to == "leave"
    assert not routes.may_accept("wpbridge_later")
    assert routes.decide("WPBRIDGE_CALLBACK", "").to == "php"
    taken = r"^hook 'wpbridge_x' has a handler or a webhook, but hooks that begin with wpbridge_"
    with pytest.raises(ConfigError, match=taken):
        app.handlers_of(Settings(webhooks={"wpbridge_x": Webhook(url="https://example.com")}))


@pytest.mark.parametrize(
    "rule", ['[[routes]]\nhook = "{}"\nto = "leave"\n', '[[retry]]\nhook = "{}"\n']
)
@pytest.mark.parametrize("hook", ["wpbridge_callback", "wpbridge_*", "wpbridge_"])
def test_rules_for_hooks_of_wpbridge_are_refused(tmp_path: Path, rule: str, hook: str) -> None:
    (tmp_path / "wpbridge.toml").write_text(rule.format(hook))
    with pytest.raises(ConfigError, match="are wpbridge's own, and no rule"):
        load({}, {}, tmp_path)


def test_the_documented_settings_do_what_the_page_says(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "routing.md"
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "wpbridge.toml").write_text(text, encoding="utf-8")
    settings = load({}, {"HOME": str(tmp_path)}, tmp_path)
    routes = app.routes_of(settings, handlers("shop_sync_order", *settings.webhooks))
    decided = {
        (hook, group): (routes.decide(hook, group).to, routes.decide(hook, group).why)
        for hook, group in (
            ("woocommerce_run_update", "wc-admin-data"),
            ("woocommerce_cleanup_draft_orders", ""),
            ("shop_sync_order", "import"),
            ("acme_crawl", ""),
            ("order_paid", ""),
            (UPKEEP, "ActionScheduler"),
        )
    }
    assert list(decided.values()) == [
        ("leave", "route 1"),
        ("php", "php is on, and no handler is here"),
        ("php", "route 2"),
        ("leave", "route 3"),
        ("webhook", "webhook"),
        ("leave", "the plugin's own upkeep; owns_site is off"),
    ]
    assert routes.decide("shop_sync_order", "").to == "python"
    assert all(f"`{hook}`" in page.read_text("utf-8") for hook in UPKEEP_HOOKS)


def test_a_hook_that_nothing_here_can_run_is_named() -> None:
    settings = Settings(hooks=("a", "typo"))
    with pytest.raises(ConfigError, match=r"^no handler for typo; there are a, b$"):
        hook_filter(settings, handlers("a", "b"))
