"""The page as people use it, in chromium: dropping, clicking, mistakes, the map; and that it asks no other host."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright", reason="needs requirements-browser.txt")

from playwright import sync_api

from tests.page.browsing import drop, names
from tests.page.conftest import CHROMIUM
from tests.page.pages import make_images, png

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]


@pytest.fixture
def page(browser_page):
    return browser_page


def test_a_dropped_image_gets_ten_neighbours_that_lead_on_and_back(page, tmp_path):
    (tmp_path / "new.png").write_bytes(png((81, 90, 159)))
    drop(page, tmp_path / "new.png")
    page.wait_for_selector("#query-name:has-text('new.png')")
    dropped = names(page)
    assert len(dropped) == 10
    assert dropped[0] == "10.png"
    page.click("#grid li:nth-child(3) .buttons :text('Search')")
    page.wait_for_selector(f"#query-name:has-text('{dropped[2]}')")
    clicked = names(page)
    assert dropped[2] not in clicked
    assert page.evaluate("document.activeElement.id") == "answers"
    page.go_back()
    page.wait_for_selector("#query-name:has-text('new.png')")
    assert names(page) == dropped
    page.go_back()
    page.wait_for_selector("#answers-title:has-text('Examples')")
    assert page.is_hidden("#query-name")
    page.go_forward()
    page.wait_for_selector("#query-name:has-text('new.png')")
    page.reload()
    page.wait_for_selector("#problem:has-text('Files are not kept')")
    sync_api.expect(page.locator("#grid .card")).to_have_count(24)


def test_a_dropped_image_of_the_gallery_is_known_as_itself(page, tmp_path):
    make_images(tmp_path)
    drop(page, tmp_path / "blue/10.png")
    page.wait_for_selector("#summary:has-text('This is blue/10.png of the gallery')")
    found = names(page)
    assert len(found) == 10
    assert "10.png" not in found
    page.reload()  # its address is that of the image
    page.wait_for_selector("#query-name:has-text('10.png')")
    assert names(page) == found


def test_settings_ask_again_and_may_leave_no_match(page):
    page.click("#grid li:nth-child(1) .pick")
    assert len(names(page)) == 10
    page.fill("#k", "4")
    page.press("#k", "Tab")
    sync_api.expect(page.locator("#grid .why")).to_have_count(4)
    page.select_option("#metric", "euclidean")
    page.wait_for_selector("#summary:has-text('euclidean')")
    page.fill("#min-score", "100")
    page.press("#min-score", "Tab")
    page.wait_for_selector("#nothing:visible")
    assert page.query_selector_all("#grid .card") == []
    page.click("#any-score")
    assert len(names(page)) == 4


def test_a_file_that_is_no_image_is_told_and_leaves_the_rest(page, tmp_path):
    (tmp_path / "<b>notes.txt").write_text("some text")
    before = page.locator("#grid .card").count()
    drop(page, tmp_path / "<b>notes.txt")
    page.wait_for_selector("#problem:visible")
    assert page.inner_text("#problem").startswith("<b>notes.txt: not an image that can be read, expected JPEG")
    assert page.locator("#grid .card").count() == before
    (tmp_path / "new.png").write_bytes(png((161, 90, 79)))
    page.set_input_files("#file", tmp_path / "new.png")
    assert names(page)[0] == "20.png"
    assert page.is_hidden("#problem")


def test_a_server_that_is_gone_is_told_and_what_was_there_comes_back(page):
    before = page.inner_text("#grid")

    def hold(route):
        page.wait_for_selector("#waiting .waiting:visible")
        assert page.is_hidden("#grid")
        route.abort()

    page.route("**/api/neighbours?**", hold)
    page.click("#grid li:nth-child(1) .pick")
    page.wait_for_selector("#problem:has-text('does not answer')")
    page.wait_for_selector("#grid:visible")
    assert page.inner_text("#grid") == before


def test_a_link_leads_to_an_image_or_says_that_it_is_not_here(page, address):
    page.goto(f"{address}#image=12")
    page.reload()
    page.wait_for_selector("#query-name:has-text('12.png')")
    page.goto(f"{address}#image=99999")
    page.reload()
    page.wait_for_selector("#problem:has-text('no image 99999')")
    sync_api.expect(page.locator("#grid .card")).to_have_count(24)


def test_a_neighbour_is_explained(page):
    page.click("#grid li:nth-child(1) .pick")
    first = names(page)[0]
    page.click("#grid li:nth-child(1) .why")
    page.wait_for_selector("#why .parted")
    sync_api.expect(page.locator("#why .seen img")).to_have_count(2)
    sync_api.expect(page.locator("#why .held img")).to_have_count(2)
    sync_api.expect(page.locator("#why .parted .end img")).to_have_count(6)
    assert "% of the distance" in page.inner_text("#why .parted")
    marks = page.locator("#why .line .mark")
    sync_api.expect(marks).to_have_count(2)
    line = page.locator("#why .line").bounding_box()
    for place in (0, 1):
        box = marks.nth(place).bounding_box()
        assert line["x"] - 10 <= box["x"] + box["width"] / 2 <= line["x"] + line["width"] + 10
    assert page.is_hidden("#why .shares")
    page.click("#why summary")
    sync_api.expect(page.locator("#why .fill")).to_have_count(2)
    assert page.is_visible("#why .shares")
    assert page.inner_text("#why .path code").endswith(first)
    page.keyboard.press("Escape")
    assert not page.evaluate("document.getElementById('why').open")
    assert "why" in page.evaluate("document.activeElement.className").split()


def test_the_map_shows_what_is_under_the_pointer_and_searches_from_it(page):
    page.wait_for_selector("#map-state", state="hidden")
    canvas = page.locator("#canvas")
    canvas.hover()  # codes go from blue to red along a line through the middle
    page.wait_for_selector("#map-tip:visible")
    width = page.locator("#map-tip img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width == 8
    label = page.inner_text("#map-tip figcaption")
    assert label in ("blue", "red")
    canvas.click()
    assert len(names(page)) == 10
    assert label in page.inner_text("#query-name")
    canvas.hover(position={"x": 200, "y": 20})
    sync_api.expect(page.locator("#map-tip")).to_be_hidden()


def test_the_map_can_be_used_from_the_keyboard(page):
    page.wait_for_selector("#map-state", state="hidden")
    page.focus("#canvas")
    for key in ("+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    page.wait_for_selector("#map-tip:visible")
    page.keyboard.press("Enter")
    assert len(names(page)) == 10


def test_duplicates_are_shown_from_the_keyboard(page):
    page.focus("#find-duplicates")
    page.keyboard.press("Enter")
    page.wait_for_selector("#duplicates-body [role=status]")
    assert page.inner_text("#duplicates-body [role=status]") == "No duplicates among 30 images."
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "find-duplicates"
    images = [
        {
            "id": image_id,
            "name": name,
            "path": f"/photos/{name}",
            "place": name,
            "class": "",
            "kind": kind,
            "likeness": 0.91,
            "bytes": 1234,
        }
        for image_id, name, kind in ((1, "<b>.png", "first"), (2, "two.png", "mirrored"))
    ]
    reply = {"words": "1 group", "num_groups": 3, "groups": [{"num_images": 5, "images": images}]}
    answers = [{"share": 0.25}] * 2
    page.route("**/api/duplicates*", lambda route: route.fulfill(json=answers.pop() if answers else reply))
    page.keyboard.press("Enter")
    page.wait_for_selector("#duplicates progress[value='0.25']")
    page.wait_for_selector("#duplicates .copies img")
    assert page.query_selector("#duplicates progress") is None
    text = page.inner_text("#duplicates-body")
    for words in (
        "Group 1: 5 images",
        "<b>.png",
        "mirrored, likeness 0.91, 1,234 bytes",
        "and 3 more",
        "2 more groups",
    ):
        assert words in text
