"""What people do on the page, for its tests in a browser."""

from __future__ import annotations

import base64
from pathlib import Path

DROP = """
(files) => {
  const dataTransfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name));
  }
  const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(drop);
}
"""


def drop(page, *paths: Path) -> None:
    """Drop files on the page."""
    page.evaluate(DROP, [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths])


def names(page) -> list[str]:
    """Names of the files of the hits."""
    page.wait_for_selector("#grid .why")
    return [button.get_attribute("title").rsplit("/", 1)[-1] for button in page.query_selector_all("#grid .pick")]
