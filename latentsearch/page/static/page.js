// What is asked, and where the answers go.
import * as api from "./api.js";
import { exampleCard, neighbourCard, placeholder } from "./cards.js";
import { byId, classLabel, element, sharpen } from "./elements.js";
import { showDuplicates } from "./duplicates.js";
import { CodeMap } from "./map.js";
import { explain } from "./why.js";

const state = { query: null, seed: 0, files: [], about: null };
let current = new AbortController(); // calls off a question when the next one is asked
let map = null;

function show(id, visible) {
  byId(id).hidden = !visible;
}

function say(problem) {
  byId("problem").textContent = problem;
  show("problem", Boolean(problem));
}

function wanted() {
  const look = state.about.look === null ? {} : { look: byId("look").value };
  return { k: byId("k").value, metric: byId("metric").value, min_score: byId("min-score").value, ...look };
}

/** Asks, and shows `count` empty places if that takes long. An error is told, and what was there comes back. */
async function during(question, count, onReply) {
  current.abort();
  const mine = (current = new AbortController());
  const grid = byId("grid");
  grid.ariaBusy = true;
  const waiting = setTimeout(() => {
    const places = Array.from({ length: count }, placeholder);
    byId("waiting").replaceChildren(...places);
    document.body.classList.add("asking");
  }, 250);
  try {
    const reply = await question(mine.signal);
    if (mine.signal.aborted) return;
    say("");
    onReply(reply);
  } catch (error) {
    if (!mine.signal.aborted) say(error.message);
  } finally {
    clearTimeout(waiting);
    if (mine === current) {
      grid.ariaBusy = false;
      document.body.classList.remove("asking");
    }
  }
}

function showQuery(query) {
  byId("why").close();
  byId("query-picture").src = query?.picture ?? "";
  byId("query-picture").alt = query ? `The query: ${query.name}` : "";
  show("query-picture", query);
  byId("drop").classList.toggle("full", Boolean(query));
  show("query-name", query);
  if (query) {
    const name = element("span", { className: "file", title: query.path ?? query.name }, query.name);
    byId("query-name").replaceChildren(...(query.class ? [classLabel(query.class, state.about.classes), " "] : []), name);
  }
}

function showExamples() {
  return during((signal) => api.examples(state.seed, signal), 24, (images) => {
    state.query = null;
    showQuery(null);
    byId("answers-title").textContent = "Examples";
    byId("summary").textContent = "Click an image to see what looks like it, or drop one of your own.";
    byId("more").textContent = "Other examples";
    show("nothing", false);
    show("legend-scores", false);
    byId("grid").replaceChildren(...images.map((image) => exampleCard(image, state.about.classes, search)));
    map.mark(null, []);
  });
}

function showNeighbours(query, reply, asked) {
  const { about } = state;
  showQuery(reply.query);
  byId("answers-title").textContent = "Neighbours";
  byId("more").textContent = "Back to examples";
  const found = reply.neighbours;
  const same = found.filter((match) => match.class && match.class === reply.query.class).length;
  byId("summary").textContent = found.length
    ? `The ${found.length} nearest of ${about.num_images.toLocaleString("en")} images, by ${asked.metric} distance of ` +
      `their codes${reply.query.class ? `; ${same} of its class` : ""}.`
    : "";
  byId("nothing-text").textContent =
    `None of ${about.num_images.toLocaleString("en")} images reaches a score of ${asked.min_score} %.`;
  show("nothing", !found.length);
  show("legend-scores", found.length);
  const why = (match) => explain(query, match, asked, about.classes);
  byId("grid").replaceChildren(...found.map((match) => neighbourCard(match, reply.query, about.classes, search, why)));
  map.mark(reply.place, found.map((match) => match.id), reply.query.id);
}

/** Asks about an image, {id} or {file}. */
function ask(query, onAnswer = () => {}) {
  if (query.file && query.file.size > state.about.max_upload) {
    return say(`${query.file.name} is larger than ${state.about.max_upload / 1e6} MB.`);
  }
  const parameters = wanted();
  const count = Number(parameters.k);
  return during((signal) => api.neighbours(query, parameters, signal), count, (reply) => {
    state.query = query;
    onAnswer();
    showNeighbours(query, reply, parameters);
  });
}

/** Asks, and makes what can be answered a step of the browser's history. */
function search(query) {
  // What was clicked is about to go: who uses the keyboard goes on at the answers.
  if (byId("grid").contains(document.activeElement)) byId("answers").focus({ preventScroll: true });
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  return ask(query, () => {
    if (query.file) state.files.push(query.file);
    const step = query.file ? { file: state.files.length - 1 } : {};
    history.pushState(step, "", query.file ? location.pathname : `#image=${query.id}`);
  });
}

/** What a step of the browser's history, or a link, asks about; examples if it asks about nothing. */
function fromHistory() {
  const id = /^#image=(\d+)$/.exec(location.hash)?.[1];
  const file = state.files[history.state?.file];
  if (!id && !file) return showExamples();
  return ask(id ? { id: Number(id) } : { file });
}

function takeFile(file) {
  if (file) search({ file });
}

function listen() {
  byId("file").addEventListener("change", (event) => {
    takeFile(event.target.files[0]);
    event.target.value = ""; // the same file may be chosen again
  });
  // Dropped anywhere on the page: a browser would otherwise leave the page to open the file.
  let depth = 0;
  const over = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dropping");
    const file = event.dataTransfer.files[0];
    if (file) takeFile(file);
    else say("That is no file. Save the image, then drop the file.");
  });
  addEventListener("paste", (event) => takeFile(event.clipboardData.files[0]));
  addEventListener("popstate", fromHistory);
  byId("controls").addEventListener("change", () => byId("controls").reportValidity() && state.query && ask(state.query));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("any-score").addEventListener("click", () => {
    byId("min-score").value = 0;
    ask(state.query);
  });
  byId("find-duplicates").addEventListener("click", showDuplicates);
  byId("more").addEventListener("click", () => {
    if (state.query) history.pushState({}, "", location.pathname);
    else state.seed += 1;
    return showExamples();
  });
}

async function begin() {
  sharpen(byId("query-picture"));
  try {
    state.about = await api.about();
  } catch (error) {
    byId("about").textContent = "";
    byId("grid").ariaBusy = false;
    return say(error.message);
  }
  const { about } = state;
  document.title = `${about.name} – latentsearch`;
  byId("about").textContent =
    `${about.name} · ${about.num_images.toLocaleString("en")} images · ${about.latent_dim} numbers each, by ${about.run}`;
  byId("lines").replaceChildren(...about.lines.map((line) => element("li", {}, line)));
  show("notes", about.lines.length);
  byId("notes").open = about.lines.length > 1; // more than where it is kept: files skipped, an encoder that knows others
  byId("k").max = about.max_k;
  byId("k").value = Math.min(10, about.max_k);
  byId("metric").replaceChildren(...about.metrics.map((metric) => element("option", {}, metric)));
  show("look-label", about.look !== null);
  byId("look").value = about.look ?? 0;
  map = new CodeMap(about.classes, search);
  listen();
  map.load();
  await fromHistory();
  const problem = byId("problem").textContent;
  if (!problem) return;
  await showExamples(); // a link to an image that is not here
  say(problem);
}

begin();
