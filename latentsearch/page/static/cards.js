// Images in the grid: examples, neighbours, and places for those that are on their way.
import * as api from "./api.js";
import { classLabel, element, thumb } from "./elements.js";

function titleOf(image, classes) {
  return image.class ? classLabel(image.class, classes) : element("span", { className: "file" }, image.name);
}

function searchButton(image, onSearch) {
  const name = image.class ? `${image.class}, ${image.name}` : image.name;
  const button = element(
    "button",
    { type: "button", className: "pick", title: image.path ?? image.name, ariaLabel: `Search from ${name}` },
    thumb(api.picture(image.id), ""),
  );
  button.addEventListener("click", () => onSearch({ id: image.id }));
  return button;
}

export function exampleCard(image, classes, onSearch) {
  return element("li", { className: "card" }, searchButton(image, onSearch), titleOf(image, classes));
}

export function neighbourCard(match, query, classes, onSearch, onWhy) {
  const same = query.class && match.class === query.class;
  const why = element("button", { type: "button", className: "why", ariaLabel: `Why is image ${match.rank} near?` }, "Why?");
  why.addEventListener("click", () => onWhy(match));
  return element(
    "li",
    { className: match.likeness === "weak" ? "card weak" : "card" },
    searchButton(match, onSearch),
    element(
      "span",
      { className: "title" },
      titleOf(match, classes),
      same ? element("span", { className: "same", title: "the class of the query" }, "✓") : null,
    ),
    element(
      "span",
      { className: "numbers" },
      element("strong", { title: `As near as ${match.pairs} random pairs of images` }, match.likeness),
      why,
    ),
    element(
      "span",
      { className: "numbers" },
      element("span", { title: "Distance of the codes" }, match.distance.toPrecision(3)),
      element("span", { title: "Share of random pairs of images that are as near" }, match.pairs),
    ),
  );
}

export function placeholder() {
  return element("li", { className: "card waiting", ariaHidden: true }, element("span", { className: "pick" }));
}
