// What is asked, and where the answers go.
import * as address from "./address.js";
import * as answers from "./answers.js";
import * as api from "./api.js";
import { placeholder } from "./cards.js";
import { showDuplicates } from "./duplicates.js";
import { byId, sharpen, show } from "./elements.js";
import { showHeader } from "./header.js";
import * as intake from "./intake.js";
import * as lightbox from "./lightbox.js";
import { CodeMap } from "./map.js";
import * as ticks from "./ticks.js";
import { explain } from "./why.js";

// What is shown: {seed} of examples, an image {id}, {files}, or {selected} ids.
const state = { shown: { seed: 0 }, files: [], about: null };
let current = new AbortController(); // calls off a question when the next one is asked
let map = null;

const on = {
  search: (query) => go(query),
  why: (query, hit, asked) => explain(query, hit, asked, state.about.classes),
};

function say(problem) {
  byId("problem").textContent = problem;
  show("problem", problem);
}

/** Begins a question, and calls off the one before. */
function begin() {
  current.abort();
  current = new AbortController();
  byId("grid").ariaBusy = true;
  return current.signal;
}

function end(signal) {
  if (signal !== current.signal) return;
  byId("grid").ariaBusy = false;
  document.body.classList.remove("asking");
}

/** Asks, and shows `count` empty places if that takes long. An error is told, and what was there comes back. */
async function during(question, count, onReply) {
  const signal = begin();
  const waiting = setTimeout(() => {
    byId("waiting").replaceChildren(...Array.from({ length: count }, placeholder));
    document.body.classList.add("asking");
  }, 250);
  try {
    const reply = await question(signal);
    if (signal.aborted) return;
    say("");
    onReply(reply);
  } catch (error) {
    if (!signal.aborted) say(error.message);
  } finally {
    clearTimeout(waiting);
    end(signal);
  }
}

function showExamples(seed, onShown) {
  return during((signal) => api.examples(seed, signal), 24, (images) => {
    onShown({ seed });
    answers.showExamples(images);
    map.mark(null, []);
  });
}

function showNeighbours(query, onShown) {
  const asked = address.settings();
  return during((signal) => api.neighbours(query, asked, signal), Number(asked.k), (reply) => {
    const found = reply.query.is_known ? { id: reply.query.id } : query;
    onShown(found.file ? { files: [found.file] } : found);
    answers.showNeighbours(found, reply, asked);
    map.mark(reply.place, reply.neighbours.map((hit) => hit.id), reply.query.id);
  });
}

async function showRows(files, onShown) {
  const asked = address.settings();
  const signal = begin();
  const near = [];
  say("");
  onShown({ files });
  const [kept, left] = [files.slice(0, answers.MOST_FILES), files.slice(answers.MOST_FILES)];
  answers.beginRows(kept, left.map((file) => file.name));
  for (const file of kept) {
    try {
      if (isTooLarge(file)) throw new api.Problem(tooLarge(file));
      const reply = await api.neighbours({ file }, asked, signal);
      if (signal.aborted) return;
      answers.addRow(file, reply, asked);
      near.push(...reply.neighbours.map((hit) => hit.id));
    } catch (error) {
      if (signal.aborted) return;
      answers.addProblem(file, error.message);
    }
  }
  map.mark(null, near);
  end(signal);
}

function showSelection(ids, onShown, isNew) {
  return during((signal) => api.images(ids, signal), 24, (images) => {
    onShown({ selected: ids });
    if (isNew) ticks.tick(images, true);
    answers.showSelection(images);
    map.mark(null, ids);
  });
}

const isTooLarge = (file) => file.size > state.about.max_upload;
const tooLarge = (file) => `${file.name} is larger than ${state.about.max_upload / 1e6} MB.`;

/** Shows what is wanted; `onShown` is called with what is shown once it is. */
function showWhat(wanted, onShown = () => {}) {
  const shown = (what) => {
    state.shown = what;
    onShown(what);
  };
  if (wanted.id !== undefined) return showNeighbours({ id: wanted.id }, shown);
  if (wanted.selected) return showSelection(wanted.selected, shown, wanted.isNew);
  if (!wanted.files) return showExamples(wanted.seed, shown);
  const [file] = wanted.files;
  if (wanted.files.length > 1) return showRows(wanted.files, shown);
  return isTooLarge(file) ? say(tooLarge(file)) : showNeighbours({ file }, shown);
}

/** Makes what is shown a step of the browser's history. Files are kept by this page alone, while it is open. */
function push(shown) {
  const places = shown.files?.map((file) => state.files.push(file) - 1);
  history.pushState({ ...(places && { files: places }), ...(shown.selected && { selected: shown.selected }) }, "", address.addressOf(shown));
}

/** Shows what is wanted, as a step of the browser's history. */
function go(wanted) {
  // What was clicked is about to go: who uses the keyboard goes on at the answers.
  if (byId("answers").contains(document.activeElement)) byId("answers").focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  return showWhat(wanted, push);
}

/** Shows what a step of the browser's history, or a link, asks about. */
async function fromHistory() {
  lightbox.closeLarge();
  const { problem, ...wanted } = address.read();
  const files = history.state?.files?.map((place) => state.files[place]);
  const isKept = files?.every(Boolean);
  if (isKept) wanted.files = files;
  if (history.state?.selected) wanted.selected = history.state.selected;
  await showWhat(wanted);
  if (problem) say(problem);
  else if (files && !isKept) say("Files are not kept when the page is loaded again: drop them once more.");
}

function listen() {
  intake.listen((files) => go({ files }), say);
  lightbox.listen();
  ticks.listen();
  addEventListener("popstate", fromHistory);
  byId("controls").addEventListener("change", () => byId("controls").reportValidity() && showWhat(state.shown, push));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("any-score").addEventListener("click", () => {
    byId("min-score").value = 0;
    showWhat(state.shown, push);
  });
  byId("find-duplicates").addEventListener("click", () => showDuplicates(on));
  byId("tick-all").addEventListener("click", () => ticks.tickShown());
  byId("more").addEventListener("click", () => go({ seed: state.shown.seed === undefined ? 0 : state.shown.seed + 1 }));
}

async function open() {
  sharpen(byId("query-picture"));
  try {
    state.about = await api.about();
  } catch (error) {
    byId("about").textContent = "";
    byId("grid").ariaBusy = false;
    return say(error.message);
  }
  const { about } = state;
  showHeader(about);
  answers.setUp(about, on);
  byId("k").max = about.max_k;
  byId("k").value = Math.min(10, about.max_k);
  byId("metric").replaceChildren(...about.metrics.map((metric) => new Option(metric)));
  show("look-label", about.look !== null);
  show("find-duplicates", about.has_duplicates);
  byId("look").value = about.look ?? 0;
  address.setDefaults();
  map = new CodeMap((id) => go({ id }), (ids) => go({ selected: ids, isNew: true }));
  listen();
  map.load();
  await fromHistory();
  const problem = byId("problem").textContent;
  if (!problem || byId("grid").childElementCount) return;
  await showExamples(0, (shown) => (state.shown = shown)); // a link to an image that is not here
  say(problem);
}

open();
