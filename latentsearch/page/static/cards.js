// Images in the grid: examples, hits, images of a selection, and places for those that are on their way.
import * as api from "./api.js";
import { button, element, thumb } from "./elements.js";
import { groupLabel } from "./palette.js";
import { tickBox } from "./ticks.js";

/** The class of an image; where there is none, the name of its file and the sub-folder that it lies in. */
function titleOf(image, classes) {
  if (image.class) return groupLabel(image.class, classes);
  const folder = image.place?.slice(0, -image.name.length - 1);
  return element(
    "span",
    { className: "names", title: image.path ?? image.name },
    element("span", { className: "file" }, image.name),
    folder ? element("span", { className: "file folder" }, folder) : null,
  );
}

const nameOf = (image) => (image.class ? `${image.class}, ${image.name}` : image.name);

function pick(image, verb, onClick) {
  const made = button("", onClick, { className: "pick", title: image.path ?? image.name, ariaLabel: `${verb} ${nameOf(image)}` });
  made.append(thumb(api.picture(image.id), ""));
  return made;
}

export function exampleCard(image, classes, onSearch) {
  return element("li", { className: "card" }, pick(image, "Search from", () => onSearch({ id: image.id })), titleOf(image, classes));
}

function pictured(image, onLarge) {
  return element("div", { className: "pictured" }, pick(image, "Show large:", onLarge), tickBox(image));
}

const searchButton = (image, onSearch) =>
  button("Search", () => onSearch({ id: image.id }), { className: "small", ariaLabel: `Search from ${nameOf(image)}` });

/** A hit of `query`. `on` holds what is done: search, large, why. */
export function hitCard(hit, query, classes, on) {
  const same = query.class && hit.class === query.class;
  return element(
    "li",
    { className: hit.likeness === "weak" ? "card weak" : "card" },
    pictured(hit, on.large),
    element(
      "span",
      { className: "title" },
      titleOf(hit, classes),
      same ? element("span", { className: "same", title: "the class of the query" }, "✓") : null,
    ),
    element("strong", { className: "likeness" }, hit.likeness),
    element("span", { className: "number", title: "Share of random pairs of images that are as near" }, `${hit.pairs} pairs`),
    element("span", { className: "number", title: "Distance of the codes" }, `distance ${hit.distance.toPrecision(3)}`),
    element(
      "span",
      { className: "buttons" },
      searchButton(hit, on.search),
      button("Why?", () => on.why(hit), { className: "small why", ariaLabel: `Why is image ${hit.rank} near?` }),
    ),
  );
}

/** An image of a selection. `on` holds what is done: search, large. */
export function selectedCard(image, classes, on) {
  return element(
    "li",
    { className: "card" },
    pictured(image, on.large),
    titleOf(image, classes),
    element("span", { className: "buttons" }, searchButton(image, on.search)),
  );
}

export function placeholder() {
  return element("li", { className: "card waiting", ariaHidden: true }, element("span", { className: "pick" }));
}
