// The groups of duplicates, in a dialog. Nothing is deleted from here.
import * as api from "./api.js";
import { byId, count, element, thumb } from "./elements.js";

function copyItem(image) {
  const alike = image.kind === "near" || image.kind === "mirrored" ? `${image.kind}, ${image.likeness.toFixed(2)}` : image.kind;
  const size = image.bytes === null ? "" : `, ${count(image.bytes)} bytes`;
  return element(
    "li",
    {},
    thumb(api.picture(image.id), ""),
    element("span", {}, element("code", {}, image.path ?? image.name), element("span", { className: "hint" }, alike + size)),
  );
}

function section(group, number) {
  const more = group.num_images - group.images.length;
  return element(
    "section",
    {},
    element("h3", {}, `Group ${number + 1}: ${group.num_images} images`),
    element("ul", { className: "copies" }, ...group.images.map(copyItem)),
    more ? element("p", { className: "hint" }, `and ${more} more`) : null,
  );
}

/** Opens the dialog; the groups are looked for when they are first asked for. */
export async function showDuplicates() {
  const body = byId("duplicates-body");
  body.replaceChildren(element("p", { className: "hint" }, "Comparing all images …"));
  byId("duplicates").showModal();
  try {
    const reply = await api.duplicates();
    const left = reply.num_groups - reply.groups.length;
    body.replaceChildren(
      element("p", { role: "status" }, reply.words),
      ...reply.groups.map(section),
      element("p", { className: "hint" }, left ? `${left} more groups: RetrieveSimilar.py --duplicates lists all.` : ""),
    );
  } catch (error) {
    body.replaceChildren(element("p", { className: "message", role: "alert" }, error.message));
  }
}
