"""A browser with the page open in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from urllib.parse import urlsplit

import pytest

DATASET = "data/shots/dataset.json"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serves a page of thirty images, with its map."""
    from latentsearch.page import code_map as maps
    from tests.page.pages import make_images, make_page

    root = tmp_path_factory.mktemp("page")
    make_images(root / "photos")
    corpus, code_map, app = make_page(root, root / "photos")
    maps.draw(root / "map.npz", code_map.identity, corpus.gallery.ids, corpus.gallery.codes)
    _, _, app = make_page(root, root / "photos")
    # The dataset of the run is there, so that its checks are offered.
    for path, content in ((corpus.run.build_record, '{"dataset": {"name": "shots"}}'), (root / DATASET, "")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with served(app) as address:
        yield address


@contextlib.contextmanager
def served(app):
    """Serves a page at a free port."""
    import uvicorn

    from latentsearch.page import app as server

    running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with server.listen(0) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    """Starts chromium. For a module, not longer: its event loop would be in the way of other tests."""
    from playwright import sync_api

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def browser_page(browser, address):
    """The page, opened; at the end, whether it asked only its own server and broke nothing."""
    with opened(browser, address) as page:
        yield page


@contextlib.contextmanager
def opened(browser, address):
    """Opens a page; at the end, asserts that it asked only its own server and broke nothing."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    hosts, errors = set(), []
    context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("#grid .card img")
    yield page
    context.close()
    assert hosts <= {urlsplit(address).netloc, ""}  # "": pictures that came inside an answer
    assert [error for error in errors if "Failed to load resource" not in error] == []
