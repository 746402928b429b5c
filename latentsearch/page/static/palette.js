// Colours and shapes of classes and sub-folders: of Okabe and Ito (2008), as latentsearch/plots/colours.py has them.
import { element } from "./elements.js";

const INK = "ink"; // in the place of black, which dark paper would swallow
const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", INK, "#999999"];
const SHAPES = ["circle", "triangle", "square", "cross"];
const NONE = { light: "#0072B2", dark: "#56B4E9" }; // of images without class or sub-folder
// In a square from -1 to 1; a circle is drawn as such.
const OUTLINES = {
  triangle: [[0, -1.1], [1.05, 0.85], [-1.05, 0.85]],
  square: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
  cross: [[-1.1, -0.55], [-0.55, -1.1], [0, -0.55], [0.55, -1.1], [1.1, -0.55], [0.55, 0], [1.1, 0.55], [0.55, 1.1], [0, 0.55], [-0.55, 1.1], [-1.1, 0.55], [-0.55, 0]],
};

export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** Colour and shape of a class, counted from 0; `ink` is the colour of text. */
export function lookOf(number, ink) {
  if (number < 0) return { colour: isDark() ? NONE.dark : NONE.light, shape: "circle" };
  const colour = COLOURS[number % COLOURS.length];
  return { colour: colour === INK ? ink : colour, shape: SHAPES[Math.floor(number / COLOURS.length) % SHAPES.length] };
}

/** Adds the outline of a shape around (x, y) to the path of a canvas. */
export function trace(context, shape, x, y, radius) {
  context.beginPath();
  if (shape === "circle") return context.arc(x, y, radius, 0, 2 * Math.PI);
  const reach = radius * Math.max(1, 2 - radius / 6); // small ones would look like circles
  for (const [dx, dy] of OUTLINES[shape]) context.lineTo(x + dx * reach, y + dy * reach);
  return context.closePath();
}

function marker(number) {
  const { colour, shape } = lookOf(number, "currentColor");
  const make = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const svg = make("svg", { viewBox: "-1.2 -1.2 2.4 2.4", class: "marker", "aria-hidden": "true" });
  svg.append(
    shape === "circle"
      ? make("circle", { r: "1", fill: colour })
      : make("polygon", { points: OUTLINES[shape].map((point) => point.join(",")).join(" "), fill: colour }),
  );
  return svg;
}

/** A class or a sub-folder with its marker. */
export function groupLabel(name, names) {
  return element("span", { className: "class" }, marker(names.indexOf(name)), element("span", {}, name));
}
