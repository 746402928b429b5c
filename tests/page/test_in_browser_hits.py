"""The page as people use it, in chromium: hits seen large, ticked and listed, several queries, the address, phones."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright", reason="needs requirements-browser.txt")

from playwright import sync_api

from tests.page.browsing import drop, names
from tests.page.conftest import CHROMIUM
from tests.page.pages import make_images, png

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]

PASTE = """
(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}
"""


@pytest.fixture
def page(browser_page):
    return browser_page


def ask(page, address, image_id=12):
    """Open the neighbours of an image by its address; return the names of the hits."""
    page.goto(f"{address}#image={image_id}")
    page.wait_for_selector(f"#query-name:has-text('{image_id}.png')")
    return names(page)


def clipboard(page):
    page.wait_for_selector("button:has-text('Copied')")
    return page.evaluate("navigator.clipboard.readText()")


def test_a_hit_is_seen_large_and_arrow_keys_step_through_the_hits(page, address):
    found = ask(page, address)
    page.click("#grid li:nth-child(2) .pick")
    page.wait_for_selector("#large-facts:has-text('20 × 10 pixels')")
    assert page.inner_text("#large-title") == found[1]
    assert page.inner_text("#large-place") == "2 of 10"
    assert "bytes, PNG" in page.inner_text("#large-facts")
    assert page.inner_text("#large-path").endswith(found[1])
    page.wait_for_selector("#large-picture.coarse")  # once it is loaded
    assert page.locator("#large-picture").evaluate("image => [image.naturalWidth, image.className]") == [20, "coarse"]
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-title") == found[2]
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#large-title") == found[0]
    assert page.is_disabled("#large-before")
    page.keyboard.press("End")
    assert page.inner_text("#large-place") == "10 of 10"
    page.keyboard.press("Escape")
    sync_api.expect(page.locator(f"#grid .pick[title$='{found[9]}']")).to_be_focused()
    assert page.evaluate("document.activeElement.ariaLabel").startswith("Show large: ")


def test_from_the_large_view_one_searches_copies_and_opens_the_original(page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found = ask(page, address)
    page.click("#grid li:nth-child(1) .pick")
    page.click("#large-copy")
    assert clipboard(page).endswith(f"/{found[0]}")
    with page.context.expect_page() as opened:
        page.click("#large-open")
    assert opened.value.evaluate("document.contentType") == "image/png"
    opened.value.close()
    page.click("#large-search")
    page.wait_for_selector(f"#query-name:has-text('{found[0]}')")
    assert not page.evaluate("document.getElementById('large').open")


def test_ticked_hits_stay_ticked_and_are_copied_or_downloaded(page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found = ask(page, address)
    assert page.is_hidden("#ticks")
    page.check("#grid li:nth-child(1) .tick")
    page.focus("#grid li:nth-child(3) .tick")
    page.keyboard.press("Space")
    assert page.inner_text("#ticks-count") == "2 ticked"
    page.click("#ticks-copy")
    assert [line.rsplit("/", 1)[-1] for line in clipboard(page).split("\n")] == [found[0], found[2]]
    with page.expect_download() as download:
        page.click("#ticks-csv")
    assert download.value.suggested_filename == "images.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path,id,class"
    assert [line.split(",")[0].rsplit("/", 1)[-1] for line in lines[1:]] == [found[0], found[2]]
    ask(page, address, 29)  # far from those
    assert "2 ticked, 2 of them not shown here" in page.inner_text("#ticks-count")
    page.click("#tick-all")
    assert page.inner_text("#ticks-count").startswith("12 ticked")
    page.click("#ticks-none")
    assert page.is_hidden("#ticks")
    assert page.locator("#grid .tick:checked").count() == 0


def test_several_images_get_a_row_each_and_the_rest_is_told(page, tmp_path):
    files = []
    for number in range(11):
        files.append(tmp_path / f"new{number:02}.png")
        files[-1].write_bytes(png((number * 8 + 1, 90, 239 - number * 8)))
    files[1].write_text("some text")
    make_images(tmp_path)
    files[2] = tmp_path / "red/20.png"
    drop(page, *files)
    sync_api.expect(page.locator("#rows .row")).to_have_count(10)
    assert "new10.png" in page.inner_text("#summary")
    rows = page.locator("#rows .row")
    assert rows.nth(0).locator(".pick").count() == 10
    assert "new01.png: not an image" in rows.nth(1).inner_text()
    assert "This is red/20.png of the gallery" in rows.nth(2).inner_text()
    assert rows.nth(2).get_attribute("aria-label") == "Neighbours of 20.png"
    rows.nth(3).locator(".pick").nth(1).click()
    assert page.inner_text("#large-place") == "2 of 10"
    page.keyboard.press("Escape")
    page.fill("#k", "3")
    page.press("#k", "Tab")
    sync_api.expect(page.locator("#rows .row:nth-child(10) .pick")).to_have_count(3)
    rows.nth(0).locator(":text('Search')").first.click()
    page.wait_for_selector("#grid .why")
    page.go_back()
    sync_api.expect(page.locator("#rows .row")).to_have_count(10)


def test_the_address_keeps_the_settings(page, address):
    ask(page, address)
    page.fill("#k", "4")
    page.press("#k", "Tab")
    sync_api.expect(page.locator("#grid .why")).to_have_count(4)
    page.select_option("#metric", "manhattan")
    page.wait_for_selector("#summary:has-text('manhattan')")
    assert page.url.endswith("#image=12&k=4&metric=manhattan&min_score=0")
    page.reload()
    page.wait_for_selector("#summary:has-text('manhattan')")
    assert len(names(page)) == 4
    page.go_back()
    page.wait_for_selector("#summary:has-text('cosine')")
    page.go_back()
    sync_api.expect(page.locator("#grid .why")).to_have_count(10)
    assert page.input_value("#k") == "10"
    page.go_forward()
    sync_api.expect(page.locator("#grid .why")).to_have_count(4)
    page.goto(f"{address}#image=12&k=500&metric=hamming")
    page.wait_for_selector("#problem:has-text('k=500 and metric=hamming, which is not possible')")
    assert (page.input_value("#k"), page.input_value("#metric")) == ("10", "cosine")


def test_an_address_that_is_pasted_is_not_fetched(page):
    page.evaluate(PASTE, "https://example.org/cat.jpg")
    assert "this machine alone and fetches nothing" in page.inner_text("#problem")
    page.evaluate(PASTE, "a cat")
    assert "text, not an image" in page.inner_text("#problem")


def test_a_part_of_the_map_is_selected_by_pointer_and_by_key(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.wait_for_selector("#map-state", state="hidden")
    box = page.locator("#canvas").bounding_box()
    page.click("#map-select")
    page.mouse.move(box["x"] + 9, box["y"] + 9)  # its corners are round
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    page.wait_for_selector("#answers-title:has-text('Selected on the map')")
    shown = page.locator("#grid .pick").count()
    assert 10 <= shown <= 20  # codes go from blue to red along a line: half of them
    assert page.inner_text("#ticks-count") == f"{shown} ticked"
    page.click("#ticks-copy")
    assert len(clipboard(page).split("\n")) == shown
    assert page.get_attribute("#map-select", "aria-pressed") == "false"
    page.focus("#canvas")
    page.keyboard.press("s")
    sync_api.expect(page.locator("#grid .pick")).to_have_count(30)
    page.click("#map-legend button:has-text('red')")
    page.focus("#canvas")
    page.keyboard.press("s")
    sync_api.expect(page.locator("#grid .pick")).to_have_count(15)


def test_how_to_improve_shows_each_command_whole_at_320_pixels(page, address):
    commands = [
        f"    python {word}.py --source /photos/{'of_a_long_way/' * 9} --run own" for word in ("One", "Two", "Three")
    ]

    def with_commands(route):
        about = route.fetch().json()
        about["lines"] = ["these images are hardly known: 60 % are", "an encoder of their own may help:", *commands]
        route.fulfill(json=about)

    page.route("**/api/about*", with_commands)
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(address)
    page.reload()
    page.wait_for_selector("#about:has-text('30 images of')")
    assert page.inner_text("#about").endswith("by the run colours, to which such images are hardly known.")
    assert page.is_hidden("#lines")
    page.focus("#notes summary")
    page.keyboard.press("Enter")
    block = page.locator(".commands pre").first
    assert block.inner_text().split("\n") == [command.strip() for command in commands]
    assert block.evaluate(
        "block => [block, block.closest('ul')].every(one => one.scrollWidth <= one.clientWidth "
        "&& one.scrollHeight <= one.clientHeight)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 320


UNNAMED = """
() => [...document.querySelectorAll("button, input, select, a, canvas, dialog, [role]")].filter((one) => {
  const by = document.getElementById(one.getAttribute("aria-labelledby"))?.textContent;
  const name = one.ariaLabel || by || one.labels?.[0]?.textContent || one.textContent;
  return one.checkVisibility() && !name.trim();
}).map((one) => one.outerHTML)
"""


def test_all_that_can_be_used_has_a_name(page, address):
    ask(page, address)
    page.check("#grid li:nth-child(1) .tick")
    assert page.evaluate(UNNAMED) == []
    page.click("#grid li:nth-child(1) .pick")
    page.wait_for_selector("#large-facts:has-text('pixels')")
    assert page.evaluate(UNNAMED) == []
    assert page.get_attribute("#large-picture", "alt").endswith(page.inner_text("#large-title"))


@pytest.mark.parametrize("width", [320, 375])
def test_nothing_runs_out_of_a_narrow_page(page, address, width):
    page.set_viewport_size({"width": width, "height": 700})
    ask(page, address)
    page.check("#grid li:nth-child(1) .tick")
    page.click("#notes summary")
    for place in ("#find-duplicates", "#more", "#tick-all", "#ticks-csv", "#map-select", "#map-all", ".commands code"):
        box = page.locator(place).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width, place
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Numbers of a card stand below each other, and within it.
    parts = "#grid .card :is(.number, .likeness, .buttons)"
    cut = "parts => parts.filter(part => part.scrollWidth > part.clientWidth + 1).length"
    assert page.eval_on_selector_all(parts, cut) == 0
    page.click("#grid li:nth-child(1) .pick")
    page.wait_for_selector("#large-facts:has-text('pixels')")
    for place in ("#large-search", "#large-copy", "#large-open", "#large-after", "#large-tick"):
        box = page.locator(place).bounding_box()
        assert box["x"] + box["width"] <= width, place
