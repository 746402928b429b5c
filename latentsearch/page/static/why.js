// The explanation of one neighbour, in a dialog.
import * as api from "./api.js";
import { button, byId, copyText, element, percent, thumb } from "./elements.js";
import { groupLabel } from "./palette.js";

let current = null; // calls off what was asked before

function pathLine(image) {
  if (!image.path) return null;
  const copy = button("Copy path", () => copyText(image.path, copy));
  return element("p", { className: "path" }, element("code", {}, image.path), copy);
}

const ROLES = ["query", "neighbour"];

/** The shape that stands for the query, or for the neighbour, on a line. */
const mark = (role) => element("span", { className: `mark of-${role}`, ariaHidden: true });

const nameOf = ({ name, class: kind }) => (kind ? `${kind}, ${name}` : name);

/** One of the two: its picture, and below it what its code holds. */
function one(image, source, drawn, role) {
  const name = element(
    "span",
    { className: "names", title: image.path ?? image.name },
    image.class ? `${role}, ${image.class}` : role,
    element("span", { className: "file folder" }, image.name),
  );
  const held = thumb(drawn, `What the code of the ${role} holds`);
  return element(
    "div",
    { className: `of-${role}` },
    element("figure", { className: "seen" }, element("figcaption", {}, mark(role), name), thumb(source, `The ${role}`)),
    element("figure", { className: "held" }, held, element("figcaption", { className: "hint" }, "what its code holds")),
  );
}

function pair(reply) {
  const { query, neighbour, decoded } = reply;
  const both = [one(query, query.picture, decoded[0], "query"), one(neighbour, api.picture(neighbour.id), decoded[1], "neighbour")];
  return element("div", { className: "pair" }, ...both);
}

function imagesOf(end) {
  const images = end.images.map((found) => {
    const shown = thumb(api.picture(found.id), nameOf(found));
    shown.title = nameOf(found);
    return shown;
  });
  return element("div", { className: "end" }, ...images);
}

const endInWords = (end) => (end.classes ? `${end.words}, ${end.classes}` : end.words);

function alike(reply) {
  const rows = reply.alike.map((one) =>
    element(
      "li",
      { className: "shared" },
      imagesOf(one.end),
      element(
        "p",
        {},
        element("strong", {}, one.name),
        `, ${endInWords(one.end)}`,
        element("br"),
        `beyond ${percent(one.beyond[0])} and ${percent(one.beyond[1])} of all images`,
      ),
    ),
  );
  const none = element("p", { className: "hint" }, "In no number do both lie towards the same end.");
  return element("section", {}, element("h3", {}, "Alike in"), rows.length ? element("ul", { className: "numbers" }, ...rows) : none);
}

/** A line from the low end to the high end, with the places of both. */
function line(places) {
  const words = places.map((place, number) => `${ROLES[number]} at ${(100 * place).toFixed(0)} %`).join(", ");
  const marks = places.map((place, number) => {
    const made = mark(ROLES[number]);
    made.style.left = `${100 * place}%`;
    return made;
  });
  return element("div", { className: "line", role: "img", ariaLabel: `From the low end to the high end: ${words}` }, ...marks);
}

function apart(reply) {
  const rows = reply.apart.map((one) =>
    element(
      "li",
      { className: "parted" },
      element("p", {}, element("strong", {}, one.name), `: ${(100 * one.share).toFixed(0)} % of the distance`),
      imagesOf(one.ends[0]),
      line(one.places),
      imagesOf(one.ends[1]),
      ...one.ends.map((end) => element("p", { className: "hint" }, endInWords(end))),
    ),
  );
  const none = element("p", { className: "hint" }, "In nothing: their codes are equal.");
  return element("section", {}, element("h3", {}, "Differ in"), rows.length ? element("ul", { className: "numbers" }, ...rows) : none);
}

function allNumbers(reply) {
  const largest = Math.max(...reply.shares, 1e-9);
  const rows = reply.shares.map((share, number) => {
    const bar = element("span", { className: "fill" });
    bar.style.width = `${(100 * share) / largest}%`;
    const [query, neighbour] = reply.codes.map((code) => code[number].toFixed(2));
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, reply.names[number]),
      element("td", { className: "track" }, bar),
      element("td", {}, `${(100 * share).toFixed(0)} %`),
      element("td", {}, query),
      element("td", {}, neighbour),
    );
  });
  const heads = ["number", "share of the distance", "", ...ROLES].map((head) => element("th", { scope: "col" }, head));
  const table = element("table", { className: "shares" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, "All numbers of the code"), table);
}

/** Opens the dialog. `query` is what was asked about, `match` the neighbour, `asked` how they were compared. */
export async function explain(query, match, asked, classes) {
  const { metric, look } = asked;
  current?.abort();
  current = new AbortController();
  const body = byId("why-body");
  body.replaceChildren(element("p", { className: "hint", ariaBusy: true }, "Comparing the codes …"));
  if (!byId("why").open) byId("why").showModal();
  try {
    const reply = await api.explanation(query, { neighbour: match.id, metric, ...(look && { look }) }, current.signal);
    body.replaceChildren(
      element(
        "p",
        {},
        match.class ? groupLabel(match.class, classes) : match.name,
        ` is neighbour ${match.rank}: ${metric} distance ${match.distance.toPrecision(3)}, closer than ` +
          `${percent(match.score)} of random pairs and than ${percent(match.copy_score)} of corrupted copies.`,
      ),
      pair(reply),
      alike(reply),
      apart(reply),
      element(
        "p",
        { className: "hint" },
        "Each number of a code has two ends; the images of the gallery that lie farthest out show what an end means. " +
          "What a code holds is what the decoder draws from it.",
      ),
      allNumbers(reply),
      pathLine(reply.neighbour) ?? "",
    );
  } catch (error) {
    if (error.name !== "AbortError") body.replaceChildren(element("p", { className: "message", role: "alert" }, error.message));
  }
}
