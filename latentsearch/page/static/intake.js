// Images that come from outside: chosen, dropped anywhere on the page, or pasted.
import { byId } from "./elements.js";

const URL_SAID =
  "That is an address. This page talks to this machine alone and fetches nothing from elsewhere: save the image, " +
  "then drop or paste the file.";
const TEXT_SAID = "That is text, not an image. Copy the image itself, or drop its file.";

const isAddress = (text) => /^\s*([a-z][a-z0-9+.-]*:\/\/|data:|www\.)/i.test(text);

/** Calls `onFiles` with the files, `onProblem` with a sentence on what is no file. */
export function listen(onFiles, onProblem) {
  const take = (transfer) => {
    const files = [...transfer.files];
    if (files.length) return onFiles(files);
    const text = transfer.getData("text/uri-list") || transfer.getData("text/plain");
    return onProblem(isAddress(text) ? URL_SAID : text.trim() ? TEXT_SAID : "That is no file. Save the image, then drop the file.");
  };
  byId("file").addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // the same file may be chosen again
    if (files.length) onFiles(files);
  });
  // Dropped anywhere on the page: a browser would otherwise leave the page to open the file.
  let depth = 0;
  const over = (change) => (event) => {
    event.preventDefault();
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  addEventListener("dragenter", over(1));
  addEventListener("dragleave", over(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dropping");
    take(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (event.target.closest?.("input:not([type=file])")) return; // a number for a setting
    take(event.clipboardData);
  });
}
