"""What the script adds to pages in a browser: renewal, keys, selection, times, copying, the theme."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Response, expect

import docs
import screenshots
from browser import SIGNED_IN, Tab, chromium, missing_browser, tab
from conftest import needs
from daemons import until
from databases import empty_queue
from demo_queue import demo_queue
from gateway import serving
from seeding import Seeder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(missing_browser())
    with chromium() as it:
        yield it


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The queue of a shop."""
    file = tmp_path_factory.mktemp("shop") / "queue.db"
    empty_queue(file)
    demo_queue(file, datetime.now(UTC))
    return file


@pytest.fixture(scope="module")
def shop(file: Path) -> Iterator[str]:
    """The address of its dashboard."""
    with serving(f"sqlite:///{file}", keys={}, **SIGNED_IN) as gateway:
        yield gateway.url


@pytest.fixture
def it(browser: Browser, shop: str) -> Iterator[Tab]:
    """A window whose timers go when a test says so."""
    with tab(browser, shop) as it:
        now = datetime.now(UTC)
        it.page.clock.install(time=now)
        it.page.clock.pause_at(now + timedelta(seconds=1))
        yield it
        it.check()


def is_of_script(request: Request) -> bool:
    return "x-requested-with" in request.headers


def asked(page: Page) -> list[int]:
    """A list that grows by the status of each answer to the script's questions."""
    statuses: list[int] = []

    def note(answer: Response) -> None:
        if is_of_script(answer.request):
            statuses.append(answer.status)

    page.on("response", note)
    return statuses


def until_asked(page: Page) -> None:
    """Let a second go by after another, until the script asks: a question has 20 for its answer."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if is_of_script(request) else None)
    for _ in range(100):
        page.clock.run_for(1_000)
        if sent:
            return
    pytest.fail("nothing was asked")


def added(file: Path, hook: str) -> None:
    with Seeder(file, datetime.now(UTC)) as seeder:
        seeder.action(hook)


def renewed(page: Page) -> None:
    """Let the script ask once, and wait for what it is told."""
    with page.expect_response(lambda answer: is_of_script(answer.request)):
        until_asked(page)


def test_a_page_renews_itself(it: Tab, file: Path) -> None:
    page = it.go("actions")
    added(file, "has_come_later")
    page.evaluate("window.scrollTo(0, 300)")
    renewed(page)
    expect(page.get_by_role("link", name="has_come_later")).to_be_visible()
    assert page.evaluate("window.scrollY") == 300


def test_what_has_not_changed_is_not_sent_again(it: Tab) -> None:
    # Relative times change a page with every second: a filter that finds nothing has none.
    page = it.go("actions?hook=there_is_none")
    statuses = asked(page)
    for _ in range(3):
        renewed(page)
    assert statuses[-1] == 304


@pytest.mark.parametrize("busy", ["selection", "dialog", "form", "marked", "menu"])
def test_a_page_stays_as_it_is_while_somebody_is_at_it(it: Tab, busy: str) -> None:
    page = it.go("actions")
    statuses = asked(page)
    if busy == "selection":
        page.locator("tbody input[type=checkbox]").first.check()
    elif busy == "dialog":
        page.keyboard.press("?")
    elif busy == "form":
        page.get_by_label("Hook", exact=True).focus()
    elif busy == "marked":
        page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    else:
        page.locator("details.person summary").click()
    page.clock.run_for(120_000)
    assert statuses == []
    if busy == "selection":
        page.locator("tbody input[type=checkbox]").first.uncheck()
    elif busy == "marked":
        page.evaluate("getSelection().removeAllRanges()")
    elif busy == "form":
        page.evaluate("document.activeElement.blur()")
    elif busy == "dialog":
        page.get_by_role("button", name="Close").click()
    else:
        page.keyboard.press("Escape")
    renewed(page)
    assert statuses == [200]


def test_a_page_that_cannot_be_renewed_says_so_and_asks_less_often(it: Tab) -> None:
    page = it.go("actions")
    it.may_refuse = True
    note = page.locator(".stale-note")
    tries: list[str] = []
    page.on("requestfailed", lambda request: tries.append(request.url))
    page.route("**/actions", lambda route: route.abort())
    for _ in range(2):
        with page.expect_event("requestfailed"):
            until_asked(page)
    expect(note).to_be_visible()
    # It asked every five seconds before.
    count = len(tries)
    page.clock.run_for(12_000)
    assert len(tries) == count
    page.unroute("**/actions")
    renewed(page)
    expect(note).to_be_hidden()


def test_who_is_signed_out_is_told_and_nothing_is_asked_any_more(it: Tab) -> None:
    page = it.go("actions")
    page.context.set_extra_http_headers({})
    renewed(page)
    expect(page.get_by_text("You are not signed in any more.")).to_be_visible()
    statuses = asked(page)
    page.clock.run_for(300_000)
    assert statuses == []


def test_details_that_somebody_has_opened_stay_open(it: Tab, file: Path) -> None:
    page = it.go("actions?status=in-progress")
    page.locator("table.rows a").first.click()
    opened = page.locator("details:not(.menu)").first
    opened.locator("summary").click()
    renewed(page)
    page.clock.run_for(1_000)
    expect(opened).to_have_attribute("open", "")


def test_keys_go_through_rows_and_pages(it: Tab) -> None:
    page = it.go("actions")
    rows = page.locator("main tbody tr")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_have_class("at")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(rows.nth(1)).to_have_class("at")
    expect(rows.nth(1).locator("input[type=checkbox]")).to_be_checked()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_have_class("at")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    # In a field, letters are letters.
    page.keyboard.type("jx?t")
    expect(page.locator("#search")).to_have_value("jx?t")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url(f"{it.base}/")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/actions")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/actions/*")


def test_enter_on_a_box_opens_its_row_and_sends_nothing(it: Tab) -> None:
    page = it.go("actions")
    page.keyboard.press("j")
    page.locator("tbody input[type=checkbox]").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/actions/*")


def test_keys_can_be_switched_off(it: Tab) -> None:
    page = it.go("actions")
    page.keyboard.press("?")
    page.get_by_label("Keys of one letter do something").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.locator("tr.at")).to_have_count(0)
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.reload()
    page.keyboard.press("?")
    expect(page.locator("dialog#keys")).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_label("Keys of one letter do something")).not_to_be_checked()


def test_a_page_of_rows_is_selected_at_once(it: Tab) -> None:
    page = it.go("actions")
    whole = page.get_by_label("Select all of this page")
    boxes = page.locator("tbody input[type=checkbox]")
    whole.check()
    expect(page.locator("tbody input[type=checkbox]:checked")).to_have_count(boxes.count())
    expect(page.locator(".selection strong")).to_have_text(str(boxes.count()))
    boxes.first.uncheck()
    assert whole.evaluate("(box) => [box.checked, box.indeterminate]") == [False, True]
    whole.check()
    whole.uncheck()
    expect(page.locator("tbody input[type=checkbox]:checked")).to_have_count(0)


def test_the_theme_is_remembered(it: Tab) -> None:
    page = it.go("")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.keyboard.press("t")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    it.dark()
    page.locator("details.person summary").click()
    button = page.get_by_role("button", name="Dark")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.evaluate(ground) == light


def test_times_go_on(it: Tab) -> None:
    page = it.go("actions/1")
    moment = page.locator("main time").first
    before = moment.inner_text()
    page.clock.pause_at(datetime.now(UTC).timestamp() + 3 * 86_400)
    page.clock.run_for(2_000)
    expect(moment).not_to_have_text(before)
    assert moment.inner_text().startswith("3 d")


def test_a_command_is_copied_also_without_a_clipboard_of_pages(browser: Browser, shop: str) -> None:
    with tab(browser, shop) as it:
        page = it.go("actions/1")
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        # Of what is shown, the copy has every character.
        block = page.locator("pre.code", has_text="wpbridge").first
        page.evaluate(
            "document.addEventListener('copy', () => { window.copied = getSelection().toString()"
            " || document.activeElement.value; })"
        )
        block.get_by_role("button", name="Copy").click()
        expect(block.get_by_role("button", name="Copied")).to_be_visible()
        expect(page.locator("#said")).to_have_text("Copied")
        assert page.evaluate("window.copied") == block.locator("code").inner_text()
        it.check()


@pytest.mark.parametrize("path", ["", "actions/1", "doctor"])
def test_commands_that_pages_show_are_there(it: Tab, path: str) -> None:
    page = it.go(path)
    told = page.locator("pre.code code").all_inner_texts()
    commands = [line for line in told if line.startswith("wpbridge ")]
    assert commands or path == ""
    assert [docs.unknown_words(line) for line in commands if docs.unknown_words(line)] == []


def test_the_first_page_is_small(browser: Browser, shop: str) -> None:
    with tab(browser, shop) as it:
        sizes = it.go("").evaluate(
            "['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
            ".map((one) => one.transferSize)"
        )
        assert len(sizes) >= 4
        assert sum(sizes) <= 60_000


def test_changes_are_offered_for_what_they_can_be_made_to(it: Tab) -> None:
    page = it.go("actions?status=failed")
    bar = page.locator(".selection")
    expect(bar.get_by_role("button", name="Requeue")).to_be_visible()
    expect(bar.get_by_role("button", name="Cancel")).to_have_count(0)
    page = it.go("actions?status=pending")
    expect(bar.get_by_role("button", name="Cancel")).to_be_visible()
    expect(bar.get_by_role("button", name="Requeue")).to_have_count(0)


def test_a_picture_has_its_colors_in_a_palette(it: Tab) -> None:
    page = it.go("")
    whole = page.screenshot(clip={"x": 0, "y": 0, "width": 120, "height": 40})
    small = screenshots.in_colors(whole)
    assert len(small) < len(whole)
    page.goto("about:blank")
    one, other = (page.evaluate(PIXELS, base64.b64encode(png).decode()) for png in (whole, small))
    assert one[:2] == other[:2] == [120, 40]
    assert max(abs(a - b) for a, b in zip(one[2], other[2], strict=True)) <= 16
    page.go_back()


PIXELS = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
  const paper = new OffscreenCanvas(image.width, image.height).getContext("2d");
  paper.drawImage(image, 0, 0);
  const pixels = [...paper.getImageData(0, 0, image.width, image.height).data];
  return [image.width, image.height, pixels];
}"""


def test_what_no_page_may_do_is_found(browser: Browser, shop: str) -> None:
    """The tests of pages could not fail otherwise."""
    with tab(browser, shop) as it:
        it.go("")
        it.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<b style=\"color:red\">x</b>')"
        )
        with pytest.raises(AssertionError, match="style-src"):
            it.check()
    with tab(browser, shop) as it:
        it.go("")
        it.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=hurt=1>')"
        )
        until(lambda: it.page.evaluate("window.reports.length"), "the browser's report")
        with pytest.raises(AssertionError, match="script-src"):
            it.check()
    with tab(browser, shop) as it:
        it.go("")
        it.page.evaluate("document.querySelector('h1').textContent += '\\u202e'")
        with pytest.raises(AssertionError, match="202e"):
            it.check()
        it.page.evaluate(
            "document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')"
        )
        with pytest.raises(AssertionError, match="label"):
            it.accessible()
