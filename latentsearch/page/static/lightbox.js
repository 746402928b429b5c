// An image at its full size, in a dialog; arrow keys step through those that are shown beside it.
import * as api from "./api.js";
import { byId, copyText, count, show } from "./elements.js";
import { isTicked, tick } from "./ticks.js";

let images = [];
let place = 0;
let actions = {};
let current = new AbortController();

function words(image) {
  if (image.rank === undefined) return image.class;
  const kind = image.class ? `${image.class}; ` : "";
  return `${kind}neighbour ${image.rank}: ${image.likeness}, as near as ${image.pairs} random pairs.`;
}

function facts(found) {
  if (found.problem) return found.problem;
  const size = `${count(found.width)} × ${count(found.height)} pixels`;
  return found.bytes === null ? `${size}, shown enlarged` : `${size}, ${count(found.bytes)} bytes, ${found.type}`;
}

async function tellFacts(id) {
  current.abort();
  const mine = (current = new AbortController());
  byId("large-facts").textContent = "";
  try {
    const found = await api.details(id, mine.signal);
    byId("large-facts").textContent = facts(found);
    show("large-open", !found.problem);
  } catch (error) {
    if (!mine.signal.aborted) byId("large-facts").textContent = error.message;
  }
}

function showImage() {
  const image = images[place];
  const picture = byId("large-picture");
  byId("large-title").textContent = image.name;
  byId("large-place").textContent = `${count(place + 1)} of ${count(images.length)}`;
  byId("large-words").textContent = words(image);
  picture.removeAttribute("src"); // that of the image before must not stand below this name
  picture.className = "loading";
  picture.alt = image.class ? `${image.class}, ${image.name}` : image.name;
  picture.src = api.large(image.id);
  byId("large-path").textContent = image.path ?? "";
  for (const id of ["large-path", "large-copy"]) show(id, image.path);
  byId("large-open").href = api.original(image.id);
  byId("large-before").disabled = place === 0;
  byId("large-after").disabled = place === images.length - 1;
  byId("large-tick").checked = isTicked(image.id);
  show("large-why", image.rank !== undefined);
  tellFacts(image.id);
}

function step(change) {
  const next = Math.min(images.length - 1, Math.max(0, place + change));
  if (next === place) return;
  place = next;
  showImage();
}

/** Shows the image at `start` of `shown`, and steps through them. `on` holds what is done: search, why. */
export function openLarge(shown, start, on) {
  [images, place, actions] = [shown, start, on];
  showImage();
  byId("large").showModal();
}

export function listen() {
  const dialog = byId("large");
  const picture = byId("large-picture");
  picture.addEventListener("load", () => (picture.className = picture.naturalWidth < 96 ? "coarse" : ""));
  picture.addEventListener("error", () => (picture.className = ""));
  dialog.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(steps[event.key]);
  });
  // Whoever stepped on goes on at the card of the image seen last.
  dialog.addEventListener("close", () => document.querySelector(`#answers .tick[value="${images[place].id}"]`)?.parentElement.querySelector(".pick").focus());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  byId("large-before").addEventListener("click", () => step(-1));
  byId("large-after").addEventListener("click", () => step(1));
  byId("large-copy").addEventListener("click", (event) => copyText(images[place].path, event.target));
  byId("large-tick").addEventListener("change", (event) => tick([images[place]], event.target.checked));
  byId("large-why").addEventListener("click", () => actions.why(images[place]));
  byId("large-search").addEventListener("click", () => {
    dialog.close();
    actions.search({ id: images[place].id });
  });
}

export const closeLarge = () => byId("large").close();
