"""The page of what was published, in chromium: its ids are larger than the numbers of a browser."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright", reason="needs requirements-browser.txt")

from playwright import sync_api

from latentsearch.page import code_map as maps
from latentsearch.page.code_map import CodeMap
from tests.page.browsing import names
from tests.page.conftest import CHROMIUM, opened, served
from tests.page.pages import make_images
from tests.page.published import make_published_page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]


@pytest.fixture
def page(browser, tmp_path):
    make_images(tmp_path / "photos")
    corpus, *_ = make_published_page(tmp_path, tmp_path / "photos")
    identity = CodeMap(tmp_path / "published.npz", corpus.gallery).identity
    maps.draw(tmp_path / "published.npz", identity, corpus.gallery.ids, corpus.gallery.codes)
    *_, app = make_published_page(tmp_path, tmp_path / "photos")
    with served(app) as address, opened(browser, address) as page:
        yield page


def test_hits_lead_on_are_reloaded_ticked_and_explained(page):
    assert page.is_hidden("#find-duplicates")
    assert page.is_hidden("#look-label")
    page.click("#grid li:nth-child(1) .pick")
    sync_api.expect(page.locator("#grid .why")).to_have_count(10)
    found = names(page)
    page.click("#grid li:nth-child(3) .buttons :text('Search')")
    page.wait_for_selector(f"#query-name:has-text('{found[2]}')")
    hits = names(page)
    assert len(hits) == 10
    assert found[2] not in hits
    page.check("#grid li:nth-child(2) .tick")
    page.check("#grid li:nth-child(4) .tick")
    assert page.locator("#grid .tick:checked").count() == 2
    page.reload()
    page.wait_for_selector(f"#query-name:has-text('{found[2]}')")
    assert names(page) == hits
    page.click("#grid li:nth-child(2) .pick")
    page.wait_for_selector("#large-picture[src]")
    page.keyboard.press("Escape")
    page.click("#grid li:nth-child(1) .why")
    page.wait_for_selector("#why[open] img")
