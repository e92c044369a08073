"""The walk of somebody who has never seen wpbridge: from wp-admin by one click, by words alone.

A browser signs in to a real WordPress, opens the dashboard at the site's own address, and does only
what a person can see. No address is typed but that of WordPress's login.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import Tab, chromium, missing_browser, tab
from conftest import needs
from daemons import until
from rows import column, query
from served import served
from servers import MariaDB
from shop_night import (
    CAPTURE,
    INVOICE,
    MAIL,
    MISSING,
    PAYMENTS,
    WHY,
    Night,
    shop_night,
)
from visited import PASSWORD, Visited, visited
from wpbridge.plugin.companion import Ownership, install
from wpbridge.plugin.entrance import Entrance

SETTINGS = "[web]\non_site = true\n[site]\nowns_site = true\n[php]\nenabled = true\n"
_NOON = 12 - datetime.now(UTC).hour
ZONE = ZoneInfo(f"Etc/GMT{-_NOON:+d}")
"""Where it is about noon: no day ends during the walk."""
TWO_HOURS = timedelta(hours=2)
A_SECOND = timedelta(seconds=1)
LONG = 60_000
"""Milliseconds within which something surely happens."""
MOST_LOOKS = 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(missing_browser())
    with chromium() as it:
        yield it


@pytest.fixture(scope="module")
def site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A WordPress with the companion, and `wpbridge serve` on loopback behind it."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "wpbridge.toml").write_text(SETTINGS)
    with visited(mariadb, tmp_path_factory.mktemp("walk")) as it, contextlib.ExitStack() as stack:
        # Pictures of people come from another host.
        it.php(f"update_option( 'show_avatars', 0 ); update_option( 'timezone_string', '{ZONE}' );")
        gateway = stack.enter_context(served(folder, it.dsn, "--listen", "127.0.0.1:0"))
        entrance = Entrance(on_site=True, server=gateway.url.replace("http://", "tcp://"))
        install(it.must_use, "wp_", Ownership(owns_site=True, dashboard=entrance))
        yield it


@pytest.fixture(scope="module")
def night(site: Visited) -> Night:
    return shop_night(site.store, site.dsn, datetime.now(UTC), ZONE)


@contextlib.contextmanager
def signed_in(
    browser: Browser, site: Visited, name: str, *, javascript: bool = True
) -> Iterator[Tab]:
    """The window of a person who has signed in by WordPress's form, and is in wp-admin."""
    with tab(browser, site.url, person="", javascript=javascript) as it:
        page = it.page
        page.goto(f"{site.url}/wp-login.php")
        person = page.get_by_label("Username or Email Address")
        password = page.get_by_label("Password", exact=True)

        def is_filled_in() -> bool:
            # A moment after the page is there, its script moves the focus: what is typed then goes
            # into the other field.
            person.fill(name)
            password.fill(PASSWORD)
            return (person.input_value(), password.input_value()) == (name, PASSWORD)

        until(is_filled_in, "the form of WordPress")
        page.get_by_role("button", name="Log In").click()
        page.wait_for_url("**/wp-admin/**")
        yield it


class Walker:
    """A person in the dashboard, who reads and clicks."""

    def __init__(self, it: Tab) -> None:
        self.it = it
        self.page: Page = it.page
        self.main: Locator = it.page.get_by_role("main")

    def enters(self, *, javascript: bool = True) -> None:
        """Open Tools > wpbridge. Without JavaScript, WordPress opens its menu by a click."""
        tools = self.page.get_by_role("link", name="Tools", exact=True)
        if javascript:
            tools.hover()
        else:
            tools.click()
        self.page.get_by_role("link", name="wpbridge", exact=True).click()
        self.sees("Overview")

    def goes(self, place: str) -> None:
        """Click an entry of the navigation."""
        self.page.get_by_role("navigation", name="Pages").get_by_role(
            "link", name=place, exact=True
        ).click()

    def clicks(self, words: str | re.Pattern[str], within: Locator | None = None) -> None:
        """Click the link or the button with these words."""
        place = within or self.main
        exact = isinstance(words, str)
        link = place.get_by_role("link", name=words, exact=exact)
        link.or_(place.get_by_role("button", name=words, exact=exact)).click()

    def sees(self, title: str) -> None:
        """The page has this title, and did nothing that no page may do."""
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(title)
        self.it.check()

    def reads(self, *texts: str, within: Locator | None = None) -> None:
        for text in texts:
            expect(within or self.main).to_contain_text(text, timeout=LONG)

    def opens(self, action: int) -> Locator:
        """Find an action by its id; what the page says of why it does not run."""
        search = self.page.get_by_role("searchbox", name="Search hooks and args, or an id")
        search.fill(str(action))
        search.press("Enter")
        self.sees(f"Action {action}")
        return self.main.get_by_role("region", name="Why it does not run")

    def failures(self, span: str) -> None:
        """Open the page of failures; the first reading after a start takes a moment."""
        self.goes("Failures")
        self.clicks(span)
        self.looks_until(re.compile(r"\d+ failures? stand"))

    def looks_until(self, words: re.Pattern[str]) -> None:
        """Look again, where a page says so, until it says something else."""
        again = self.main.get_by_role("link", name="Look again")
        for _ in range(MOST_LOOKS):
            if words.search(self.main.inner_text()):
                break
            if again.is_visible():
                again.click()
            self.page.wait_for_load_state()
        expect(self.main).to_contain_text(words)

    def failed(self, words: str) -> Locator:
        """What a page of failures has of those alike."""
        return self.main.get_by_role("region").filter(has_text=words)

    def requeues(self, count: int) -> None:
        """Requeue all of a group of failures: look what is meant, type the count, see the end."""
        self.clicks(f"Requeue these {count}")
        self.sees("Requeue: everything that matches")
        self.reads(f"{count} actions match")
        self.page.get_by_label(f"Type {count} to do it to all of them").fill(str(count))
        self.clicks("Requeue")
        self.sees("Action")

    def pauses(self, group: str) -> tuple[datetime, datetime]:
        """Pause the group whose page is open for two hours; between which moments."""
        self.sees(f"Group {group}")
        self.page.get_by_label("How long", exact=True).select_option(label="for two hours")
        self.page.get_by_label("Reason").fill("the other side is down")
        before = datetime.now(UTC)
        form = self.main.locator("form").filter(has=self.page.get_by_label("How long", exact=True))
        self.clicks("Pause", form)
        self.reads("Paused", "paused until", "the other side is down")
        self.it.check()
        return before, datetime.now(UTC)


def pause_of(site: Visited, group: str) -> datetime:
    """The end of a group's pause."""
    [(until,)] = query(
        site.store,
        "SELECT until_gmt FROM wp_wpbridge_pauses WHERE kind = 'group' AND name = :n",
        n=group,
    )
    return datetime.fromisoformat(str(until)).replace(tzinfo=UTC)


def lasts_two_hours(site: Visited, group: str, made: tuple[datetime, datetime]) -> None:
    before, after = made
    # The table has whole seconds.
    assert before - A_SECOND <= pause_of(site, group) - TWO_HOURS <= after + A_SECOND


def requeued_once(site: Visited, hook: str, ids: tuple[int, ...] | list[int]) -> None:
    """Each of the failed actions has one new action, and stands there still."""
    rows = query(
        site.store,
        "SELECT args, SUM(status = 'failed'), SUM(status = 'pending')"
        " FROM wp_actionscheduler_actions WHERE hook = :h AND args < '[8500' GROUP BY args",
        h=hook,
    )
    assert len(rows) == len(ids)
    assert {(int(str(failed)), int(str(new))) for _, failed, new in rows} == {(1, 1)}


def test_a_stranger_answers_everything_from_pages(
    browser: Browser, site: Visited, night: Night
) -> None:
    with signed_in(browser, site, "admin") as it:
        person = Walker(it)
        person.enters()
        _what_failed_last_night(person)
        _why_it_does_not_run(person, site, night)
        person.failures("Last night")
        person.requeues(len(night.captures))
        person.reads("22 of 22 were requeued.")
        requeued_once(site, CAPTURE, list(night.captures))
        person.clicks("To the failures")
        # The page renews itself until all of it is read.
        expect(person.failed(WHY[:20])).to_have_count(0, timeout=60_000)
        person.goes("Hooks and groups")
        person.clicks(re.compile(r"^Groups"))
        person.clicks("Pause", person.main.get_by_role("row").filter(has_text=PAYMENTS))
        made = person.pauses(PAYMENTS)
        lasts_two_hours(site, PAYMENTS, made)
        person.goes("Overview")
        person.sees("Overview")
        end = pause_of(site, PAYMENTS).astimezone(ZONE)
        person.reads(f"group {PAYMENTS} until {end:%Y-%m-%d %H:%M:%S}", "the other side is down")
        _who_did_it(person)


def _what_failed_last_night(person: Walker) -> None:
    person.failures("Last night")
    alike = person.failed("cURL error 28: Operation timed out")
    person.reads("22", CAPTURE, PAYMENTS, "22:00:00", "likely to succeed", within=alike)
    alike.get_by_text("The newest message").click()
    person.reads(WHY, within=alike)
    person.it.check()


def _why_it_does_not_run(person: Walker, site: Visited, night: Night) -> None:
    why = person.opens(night.paused)
    person.reads("group 'newsletter' is paused until resumed: the texts are not ready", within=why)
    person.clicks("Resume group newsletter", why)
    person.reads("Resumed")
    expect(why).not_to_contain_text("is paused")
    person.sees(f"Action {night.paused}")

    why = person.opens(night.held)
    person.reads(f"it waits for action {night.label} (failed)", within=why)
    person.clicks(f"Requeue action {night.label}", why)
    person.reads("Requeued: 1")
    expect(why).not_to_contain_text("(failed)")
    person.sees(f"Action {night.held}")

    why = person.opens(night.early)
    person.reads("it is due in", within=why)
    local = (
        datetime.fromisoformat(_scheduled(site, night.early)).replace(tzinfo=UTC).astimezone(ZONE)
    )
    person.reads(local.isoformat(), within=why)
    person.clicks("Run it now", why)
    person.reads("Made due now: 1")
    expect(why).not_to_contain_text("it is due in")
    assert _scheduled(site, night.early) <= str(datetime.now(UTC))

    why = person.opens(night.missing)
    person.reads(
        f"WordPress has no callback for '{MISSING}'", within=why.get_by_role("listitem").first
    )
    person.clicks("To the hook", why.get_by_role("listitem").first)
    person.sees(f"Hook {MISSING}")
    person.reads("Activate the plugin that adds it, or cancel them.")


def _scheduled(site: Visited, action: int) -> str:
    return str(column(site.store, "scheduled_date_gmt", action))


def _who_did_it(person: Walker) -> None:
    person.goes("Audit")
    person.clicks("Yesterday")
    rows = person.main.get_by_role("row")
    expect(rows).to_have_count(2)
    person.reads("site:carla", "cancel", "40", "test orders", "15:00:00", within=rows.nth(1))
    person.clicks("Today")
    paused = rows.filter(has_text=f"group {PAYMENTS}")
    person.reads("site:admin", "pause", "127.0.0.1", within=paused)
    person.it.check()


def test_a_shop_manager_needs_no_javascript_and_deletes_nothing(
    browser: Browser, site: Visited, night: Night
) -> None:
    with signed_in(browser, site, "shop", javascript=False) as it:
        person = Walker(it)
        person.enters(javascript=False)
        person.failures("24 hours")
        alike = person.failed("SMTP connect() failed")
        person.clicks(MAIL, alike)
        made = person.pauses(MAIL)
        lasts_two_hours(site, MAIL, made)
        person.clicks("Failures by their cause")
        person.looks_until(re.compile(r"\d+ failures? stand"))
        person.requeues(len(night.invoices))
        person.looks_until(re.compile(r"7 of 7 were requeued\."))
        requeued_once(site, INVOICE, list(night.invoices))
        person.goes("Overview")
        person.reads(f"group {MAIL} until", "the other side is down")
        person.opens(night.early)
        expect(person.main.get_by_text("Cancel", exact=True).first).to_be_visible()
        expect(person.main.get_by_text("Delete")).to_have_count(0)
        person.goes("Actions")
        expect(person.main.get_by_role("button", name="Cancel")).to_be_visible()
        expect(person.main.get_by_text("Delete")).to_have_count(0)
        it.check()
    assert {
        str(row[0])
        for row in query(
            site.store, "SELECT who FROM wp_wpbridge_audit WHERE object LIKE 'group mail'"
        )
    } == {"site:shop"}


def test_a_subscriber_has_no_way_in(browser: Browser, site: Visited) -> None:
    with signed_in(browser, site, "reader") as it:
        expect(it.page.get_by_role("link", name="Profile").first).to_be_visible()
        expect(it.page.get_by_role("link", name="wpbridge")).to_have_count(0)
        it.may_refuse = True
        answer = it.page.goto(f"{site.url}/wpbridge/")
        assert answer is not None
        assert answer.status == 403
        expect(it.page.get_by_text("Your account may not see the dashboard")).to_be_visible()
        assert it.wrong == []
