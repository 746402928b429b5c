// Elements made in code. Text is only ever set as text: names of files may hold anything.

/** element("p", {className: "hint"}, "text", child, ...) */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function button(text, onClick, properties = {}) {
  const made = element("button", { type: "button", ...properties }, text);
  made.addEventListener("click", onClick);
  return made;
}

export const byId = (id) => document.getElementById(id);

export function show(id, visible) {
  byId(id).hidden = !visible;
}

/** A picture that is shown as squares where it has fewer pixels than its place. */
export function thumb(source, alt) {
  return sharpen(element("img", { className: "thumb", alt, src: source, decoding: "async", draggable: false }));
}

export function sharpen(image) {
  image.addEventListener("load", () => image.classList.toggle("coarse", image.naturalWidth < 96));
  return image;
}

/** The id of an image as the server gives it: a number, or a text where numbers are not exact. */
export const idOf = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);

/** A number with its thousands apart. */
export const count = (number) => number.toLocaleString("en");

/** A percentage, with more digits near 100; cut, not rounded, so that 100 means all. */
export function percent(value) {
  const digits = value >= 100 ? 0 : value >= 99 ? 2 : value >= 90 ? 1 : 0;
  return `${(Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits)}\u00a0%`;
}

/** Puts text on the clipboard, and says on the button whether it is there. */
export async function copyText(text, from) {
  const before = from.textContent;
  try {
    await navigator.clipboard.writeText(text);
    from.textContent = "Copied";
  } catch {
    from.textContent = "The browser refused";
  }
  setTimeout(() => (from.textContent = before), 2000);
}
