// What is shown, as the part of the address behind #: it can be reloaded, kept as a bookmark, and left by "back".
import { byId, idOf } from "./elements.js";

const SETTINGS = { k: "k", metric: "metric", look: "look", min_score: "min-score" }; // controls by name
let defaults = {};

/** Keeps what the controls say now as what an address without settings means. */
export function setDefaults() {
  defaults = settings();
}

/** What the controls say. */
export function settings() {
  const shown = Object.entries(SETTINGS).filter(([, id]) => !byId(id).closest("label").hidden);
  return Object.fromEntries(shown.map(([name, id]) => [name, byId(id).value]));
}

/** The address of what is shown: an image {id}, or examples of a seed {seed}; nothing for files and selections. */
export function addressOf({ id, seed }) {
  const parts = { ...(id !== undefined && { image: id }), ...(seed && { examples: seed }) };
  const changed = Object.entries(settings()).filter(([name, value]) => id !== undefined || value !== defaults[name]);
  const text = new URLSearchParams([...Object.entries(parts), ...changed]).toString();
  return text ? `#${text}` : location.pathname;
}

function isPossible(control, value) {
  if (control.tagName === "SELECT") return [...control.options].some((option) => option.value === value);
  control.value = value;
  return control.value !== "" && control.checkValidity() && (control.type !== "range" || Number(control.value) === Number(value));
}

/** Sets the controls as the address says. Returns what it asks for, and a sentence on what is not possible. */
export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  const wrong = [];
  for (const [name, id] of Object.entries(SETTINGS)) {
    const control = byId(id);
    const value = found.get(name);
    if (control.closest("label").hidden) continue;
    const isFine = value === null || isPossible(control, value);
    if (!isFine) wrong.push(`${name}=${value.slice(0, 40)}`);
    control.value = value !== null && isFine ? value : defaults[name];
  }
  const number = (name, digits) => {
    const text = found.get(name) ?? "";
    return /^\d+$/.test(text) && text.length <= digits ? idOf(text) : undefined;
  };
  const problem = wrong.length ? `The address asks for ${wrong.join(" and ")}, which is not possible here.` : "";
  return { id: number("image", 19), seed: number("examples", 15) ?? 0, problem };
}
