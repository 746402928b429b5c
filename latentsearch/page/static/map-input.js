// Pointer, wheel, fingers and keys on the map.
import { byId } from "./elements.js";

const CLICK = 3; // pixels that a click may move
const STEPS = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };

/** Lets a CodeMap follow what people do. */
export function listenToMap(map) {
  const { canvas } = map;
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    map.zoom(2 ** (-event.deltaY / 300), event.offsetX, event.offsetY);
  });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const here = [event.offsetX, event.offsetY];
    if (!fingers.size) moved = 0;
    if (!fingers.size && (map.isSelecting || event.shiftKey)) map.frame = [here, here];
    else map.frame = null; // a second finger zooms
    fingers.set(event.pointerId, here);
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = [event.offsetX, event.offsetY];
    const before = fingers.get(event.pointerId);
    if (!before) return map.look(...here);
    moved += Math.hypot(here[0] - before[0], here[1] - before[1]);
    fingers.set(event.pointerId, here);
    follow(map, here, before, moved, [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place));
  });
  canvas.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    const { frame } = map;
    map.frame = null;
    if (moved > CLICK) return frame && map.select(...frame);
    map.look(event.offsetX, event.offsetY);
    if (map.found) map.onSearch(map.found.id);
  });
  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    map.frame = null;
    map.draw();
  });
  canvas.addEventListener("pointerleave", () => map.look(-1, -1, 0));
  canvas.addEventListener("blur", () => map.look(-1, -1, 0));
  canvas.addEventListener("keydown", (event) => onKey(map, event));
  byId("map-in").addEventListener("click", () => map.zoom(1.6));
  byId("map-out").addEventListener("click", () => map.zoom(1 / 1.6));
  byId("map-all").addEventListener("click", () => map.all());
  byId("map-select").addEventListener("click", () => map.setSelecting(!map.isSelecting));
}

/** Moves, zooms by two fingers, or draws the frame of a selection. */
function follow(map, here, before, moved, others) {
  if (map.frame) {
    map.frame = [map.frame[0], here];
    map.look(-1, -1, 0);
    map.draw();
  } else if (others.length) {
    const apart = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]) || 1;
    map.zoom(apart(here) / apart(before), ...others[0]);
  } else if (moved > CLICK) {
    map.move(here[0] - before[0], here[1] - before[1]);
  }
}

function onKey(map, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (event.key in STEPS) map.move(...STEPS[event.key]);
  else if (key === "+" || key === "=") map.zoom(1.4);
  else if (key === "-") map.zoom(1 / 1.4);
  else if (key === "0") map.all();
  else if (key === "escape") return map.setSelecting(false);
  else if (key !== "enter" && key !== "s") return;
  event.preventDefault();
  if (key === "s") return map.select();
  map.lookAtMiddle();
  if (key === "enter" && map.found) map.onSearch(map.found.id);
}
