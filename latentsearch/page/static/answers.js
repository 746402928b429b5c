// What is found, in the middle of the page: examples, hits of one image or of several, a selection of the map.
import { exampleCard, hitCard, selectedCard } from "./cards.js";
import { byId, count, element, show, thumb } from "./elements.js";
import { openLarge } from "./lightbox.js";
import { groupLabel } from "./palette.js";
import { refresh } from "./ticks.js";

export const MOST_FILES = 10; // that are answered at a time
const MOST_SELECTED = 200; // cards of a selection

let about = null; // the gallery
let on = {}; // what is done: search, why

export function setUp(gallery, actions) {
  [about, on] = [gallery, actions];
}

function frame(title, summary, more) {
  byId("answers-title").textContent = title;
  byId("summary").textContent = summary;
  byId("more").textContent = more;
  for (const id of ["nothing", "legend-scores", "rows"]) show(id, false);
  byId("rows").replaceChildren();
  byId("grid").replaceChildren();
}

export function showQuery(query) {
  byId("why").close();
  byId("query-picture").src = query?.picture ?? "";
  byId("query-picture").alt = query ? `The query: ${query.name}` : "";
  show("query-picture", query);
  byId("drop").classList.toggle("full", Boolean(query));
  show("query-name", query);
  if (query) byId("query-name").replaceChildren(...nameOf(query));
}

function nameOf(query) {
  const name = element("span", { className: "file", title: query.path ?? query.name }, query.name);
  return query.class ? [groupLabel(query.class, about.classes), " ", name] : [name];
}

export function showExamples(images) {
  showQuery(null);
  frame("Examples", "Click an image to see what looks like it, or drop one of your own.", "Other examples");
  byId("grid").replaceChildren(...images.map((image) => exampleCard(image, about.classes, on.search)));
  refresh();
}

/** Says that a file is an image of the gallery, where it is. */
const itself = (query) => (query.is_known ? `This is ${query.place ?? query.name} of the gallery; it is left out of its own neighbours. ` : "");

function cards(query, reply, asked) {
  const hits = reply.neighbours;
  const why = (hit) => on.why(query, hit, asked);
  return hits.map((hit, place) =>
    hitCard(hit, reply.query, about.classes, { search: on.search, why, large: () => openLarge(hits, place, { search: on.search, why }) }),
  );
}

export function showNeighbours(query, reply, asked) {
  const found = reply.neighbours;
  const same = found.filter((hit) => hit.class && hit.class === reply.query.class).length;
  showQuery(reply.query);
  frame(
    "Neighbours",
    itself(reply.query) +
      (found.length
        ? `The ${count(found.length)} nearest of ${count(about.num_images)} images, by ${asked.metric} distance of ` +
          `their codes${reply.query.class ? `; ${same} of its class` : ""}.`
        : ""),
    "Back to examples",
  );
  byId("nothing-text").textContent = `None of ${count(about.num_images)} images reaches a score of ${asked.min_score} %.`;
  show("nothing", !found.length);
  show("legend-scores", found.length);
  byId("grid").replaceChildren(...cards(query, reply, asked));
  refresh();
}

/** Empties the answers for those of several files; `left` are the names of those that are not asked about. */
export function beginRows(files, left) {
  showQuery(null);
  const rest = left.length ? ` At most ${MOST_FILES} are answered at a time; left out: ${left.join(", ")}.` : "";
  frame("Neighbours of several images", `${count(files.length)} images, a row for each.${rest}`, "Back to examples");
  show("rows", true);
  show("legend-scores", true);
  refresh();
}

function row(file, heading, ...content) {
  const name = heading?.name ?? file.name;
  byId("rows").append(element("section", { className: "row", ariaLabel: `Neighbours of ${name}` }, ...content));
}

export function addRow(file, reply, asked) {
  const { query, neighbours } = reply;
  const head = element(
    "div",
    { className: "row-head" },
    thumb(query.picture, `The query: ${query.name}`),
    element("div", {}, element("h3", {}, file.name), element("p", { className: "hint" }, itself(query))),
  );
  const found = neighbours.length
    ? element("ol", { className: "strip" }, ...cards(query.id === null ? { file } : { id: query.id }, reply, asked))
    : element("p", { className: "hint" }, `No image reaches a score of ${asked.min_score} %.`);
  row(file, query, head, found);
  refresh();
}

export function addProblem(file, message) {
  row(file, null, element("h3", {}, file.name), element("p", { className: "message", role: "alert" }, message));
}

export function showSelection(images) {
  showQuery(null);
  const shown = images.slice(0, MOST_SELECTED);
  const rest = images.length > shown.length ? ` The first ${count(shown.length)} are shown; the list has all.` : "";
  frame("Selected on the map", `${count(images.length)} images.${rest}`, "Back to examples");
  byId("grid").replaceChildren(
    ...shown.map((image, place) => selectedCard(image, about.classes, { search: on.search, large: () => openLarge(shown, place, on) })),
  );
  refresh();
}
