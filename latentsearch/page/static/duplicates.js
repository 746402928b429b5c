// The groups of duplicates, in a dialog. Nothing is deleted from here.
import * as api from "./api.js";
import { button, byId, count, element, thumb } from "./elements.js";
import { openLarge } from "./lightbox.js";

let actions = {};

function alike(image) {
  const words = image.kind === "near" || image.kind === "mirrored" ? `${image.kind}, likeness ${image.likeness.toFixed(2)}` : image.kind;
  return image.bytes === null ? words : `${words}, ${count(image.bytes)} bytes`;
}

function copyItem(image, place, images) {
  const pick = button("", () => openLarge(images, place, actions), { className: "pick", ariaLabel: `Show large: ${image.name}` });
  pick.append(thumb(api.picture(image.id), ""));
  const path = element("code", { title: image.path ?? image.name }, image.place ?? image.name);
  return element("li", {}, pick, element("span", {}, path, element("span", { className: "hint" }, alike(image))));
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

/** Opens the dialog; the groups are looked for when they are first asked for. `on` holds what is done: search. */
export async function showDuplicates(on) {
  const search = (query) => {
    byId("duplicates").close();
    on.search(query);
  };
  actions = { search };
  const body = byId("duplicates-body");
  const done = element("progress", { max: 1, ariaLabel: "Comparing all images" });
  body.replaceChildren(element("p", { className: "hint" }, "Comparing all images: once for as long as the page is open. "), done);
  byId("duplicates").showModal();
  try {
    let reply = await api.duplicates();
    while (!reply.groups) {
      done.value = reply.share;
      await new Promise((resolve) => setTimeout(resolve, 500));
      if (!body.contains(done)) return; // opened anew
      reply = await api.duplicates();
    }
    const left = reply.num_groups - reply.groups.length;
    body.replaceChildren(
      element("p", { role: "status" }, reply.words),
      ...reply.groups.map(section),
      left ? element("p", { className: "hint" }, `${left} more groups: RetrieveSimilar.py --duplicates lists all.`) : "",
    );
  } catch (error) {
    body.replaceChildren(element("p", { className: "message", role: "alert" }, error.message));
  }
}
