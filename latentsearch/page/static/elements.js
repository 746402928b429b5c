// Elements made in code. Text is only ever set as text: names of files may hold anything.

/** element("p", {className: "hint"}, "text", child, ...) */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A picture that is shown as squares where it has fewer pixels than its place. */
export function thumb(source, alt) {
  return sharpen(element("img", { className: "thumb", alt, src: source, decoding: "async", draggable: false }));
}

export function sharpen(image) {
  image.addEventListener("load", () => image.classList.toggle("coarse", image.naturalWidth < 96));
  return image;
}

// Ten hues that can be told apart on light and on dark; more classes than that go round the wheel.
const HUES = [
  "#4e79a7", "#f28e2b", "#e15759", "#55aaa4", "#59a14f", "#d4ac1c", "#b07aa1", "#f2798f", "#9c755f", "#8f8a87",
];

export function classColour(number, numClasses) {
  if (number < 0) return "#4e79a7";
  return numClasses <= HUES.length ? HUES[number] : `hsl(${(number * 137.5) % 360} 55% 55%)`;
}

/** A class with its colour. */
export function classLabel(name, classes) {
  const dot = element("span", { className: "dot" });
  dot.style.background = classColour(classes.indexOf(name), classes.length);
  return element("span", { className: "class" }, dot, name);
}

/** A percentage, with more digits near 100; cut, not rounded, so that 100 means all. */
export function percent(value) {
  const digits = value >= 99 ? 2 : value >= 90 ? 1 : 0;
  return `${(Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits)}\u00a0%`;
}
