// The images that are ticked: their paths are copied, or downloaded as a list. They stay ticked from query to query.
import * as api from "./api.js";
import { byId, copyText, count, element, idOf, show } from "./elements.js";

const ticked = new Map(); // images by id
const shown = new WeakMap(); // images by their boxes

export const isTicked = (id) => ticked.has(id);

function tell() {
  const boxes = [...document.querySelectorAll("#answers .tick")];
  show("tick-all", boxes.length);
  show("ticks", ticked.size);
  const here = new Set(boxes.filter((box) => box.checked).map((box) => box.value)).size;
  const elsewhere = ticked.size - here;
  byId("ticks-count").textContent = `${count(ticked.size)} ticked${elsewhere ? `, ${count(elsewhere)} of them not shown here` : ""}`;
  byId("ticks-copy").textContent = [...ticked.values()].some((image) => image.path) ? "Copy paths" : "Copy names";
}

/** Ticks or unticks images, wherever they are shown. */
export function tick(images, isOn) {
  for (const image of images) {
    if (isOn) ticked.set(image.id, image);
    else ticked.delete(image.id);
  }
  refresh();
}

/** Brings what is shown in line with what is ticked. */
export function refresh() {
  for (const box of document.querySelectorAll(".tick")) box.checked = ticked.has(idOf(box.value));
  tell();
}

/** A box to tick an image. */
export function tickBox(image) {
  const box = element("input", { type: "checkbox", className: "tick", value: image.id, checked: isTicked(image.id), ariaLabel: `Tick ${image.name}`, title: "Tick, to copy or list" });
  box.addEventListener("change", () => tick([image], box.checked));
  shown.set(box, image);
  return box;
}

/** Ticks all that are shown. */
export function tickShown() {
  tick([...document.querySelectorAll("#answers .tick")].map((box) => shown.get(box)), true);
}

async function download(from) {
  const link = element("a", { download: "images.csv" });
  try {
    link.href = URL.createObjectURL(await api.csv([...ticked.keys()]));
  } catch (error) {
    from.textContent = error.message;
    return;
  }
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function listen() {
  const copy = byId("ticks-copy");
  copy.addEventListener("click", () => copyText([...ticked.values()].map((image) => image.path ?? image.name).join("\n"), copy));
  byId("ticks-csv").addEventListener("click", (event) => download(event.target));
  byId("ticks-none").addEventListener("click", () => {
    tick([...ticked.values()], false);
    byId("answers").focus({ preventScroll: true }); // the button is gone
  });
}
