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

function pictures(reply) {
  const captions = ["query", "decoded", "", "", "", "decoded", "neighbour"];
  const images = [reply.seen[0], ...reply.path, reply.seen[1]];
  const figures = images.map((source, step) => {
    const kind = step === 0 || step === images.length - 1 ? "seen" : "drawn";
    return element("figure", { className: kind }, thumb(source, captions[step] || "on the way"), element("figcaption", {}, captions[step]));
  });
  return element("div", { className: "way" }, ...figures);
}

function bars(reply) {
  const largest = Math.max(...reply.shares, 1e-9);
  const rows = reply.shares.map((share, number) => {
    const bar = element("span", { className: "fill" });
    bar.style.width = `${(100 * share) / largest}%`;
    const [query, neighbour] = reply.codes.map((code) => code[number].toFixed(2));
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, `${number}`),
      element("td", { className: "track" }, bar),
      element("td", {}, `${(100 * share).toFixed(0)} %`),
      element("td", {}, query),
      element("td", {}, neighbour),
    );
  });
  const heads = ["number", "share of the distance", "", "query", "neighbour"].map((head) => element("th", { scope: "col" }, head));
  return element("table", { className: "shares" }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
}

/** Opens the dialog. `query` is what was asked about, `match` the neighbour, `asked` how they were compared. */
export async function explain(query, match, asked, classes) {
  const { metric, look } = asked;
  current?.abort();
  current = new AbortController();
  const body = byId("why-body");
  body.replaceChildren(element("p", { className: "hint", ariaBusy: true }, "Asking the decoder …"));
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
      pictures(reply),
      element(
        "p",
        { className: "hint" },
        "Left and right: the images as the encoder takes them. Between them: what the decoder draws from the code of " +
          "the query, from three steps on the straight line, and from the code of the neighbour.",
      ),
      bars(reply),
      pathLine(reply.neighbour) ?? "",
    );
  } catch (error) {
    if (error.name !== "AbortError") body.replaceChildren(element("p", { className: "message", role: "alert" }, error.message));
  }
}
