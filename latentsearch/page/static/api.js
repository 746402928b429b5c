// What the server is asked. Every question may be given a signal that calls it off.

/** An error that can be shown as it is. */
export class Problem extends Error {}

async function send(path, parameters = {}, options = {}) {
  let response;
  try {
    response = await fetch(`${path}?${new URLSearchParams(parameters)}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it still running in its terminal?");
  }
  if (response.ok) return response;
  const content = await response.json().catch(() => ({}));
  throw new Problem(content.error ?? "The server failed; its terminal says why.");
}

const ask = async (...question) => (await send(...question)).json();

/** A question about an image of the corpus, {id}, or about a file, {file}. */
function askAbout(path, query, parameters, signal) {
  if (query.file) {
    return ask(path, { ...parameters, name: query.file.name }, { method: "POST", body: query.file, signal });
  }
  return ask(path, { ...parameters, id: query.id }, { signal });
}

export const about = () => ask("/api/about");
export const examples = (seed, signal) => ask("/api/examples", { seed }, { signal });
export const map = () => ask("/api/map");
export const neighbours = (query, parameters, signal) => askAbout("/api/neighbours", query, parameters, signal);
export const explanation = (query, parameters, signal) => askAbout("/api/explanation", query, parameters, signal);
export const duplicates = (signal) => ask("/api/duplicates", {}, { signal });
export const details = (id, signal) => ask("/api/details", { id }, { signal });
export const images = (ids, signal) => ask("/api/images", {}, { method: "POST", body: JSON.stringify(ids), signal });
export const csv = async (ids) => (await send("/api/images.csv", {}, { method: "POST", body: JSON.stringify(ids) })).blob();
export const picture = (id) => `/api/picture?id=${id}`;
export const large = (id) => `/api/large?id=${id}`;
export const original = (id) => `/api/original?id=${id}`;
