// The header: what is searched, in a sentence, and how better neighbours can be had.
import { button, byId, copyText, count, element } from "./elements.js";

const COMMAND = /^ {4,}/; // lines of the server that are commands

function block(lines) {
  const code = element("code", {}, lines.join("\n"));
  const copy = button("Copy", () => copyText(lines.join("\n"), copy), { className: "small", ariaLabel: "Copy the commands" });
  return element("li", { className: "commands" }, element("pre", {}, code), copy);
}

/** Lines as list items; commands that follow each other as one block. */
function items(lines) {
  const made = [];
  let commands = [];
  for (const line of [...lines, ""]) {
    if (COMMAND.test(line)) {
      commands.push(line.trim());
      continue;
    }
    if (commands.length) made.push(block(commands));
    commands = [];
    if (line) made.push(element("li", {}, line));
  }
  return made;
}

export function showHeader(about) {
  const novelty = about.lines.map((line) => /^these images are ([^:]+)/.exec(line)?.[1]).find(Boolean);
  const known = novelty ? `, to which such images are ${novelty}` : "";
  document.title = `${about.name} – latentsearch`;
  byId("about").textContent = `${count(about.num_images)} images of ${about.name}, each as ${about.latent_dim} numbers by the run ${about.run}${known}.`;
  const check = ["How good the codes of this run are, and what to do about what is not:", `    ${about.check_command}`];
  byId("lines").replaceChildren(...items([...about.lines, ...(about.check_command ? check : [])]));
}
