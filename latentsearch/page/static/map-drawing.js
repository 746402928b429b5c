// Drawing of the map on its canvas.
import * as api from "./api.js";
import { isDark, lookOf, trace } from "./palette.js";

const NEAR = 5; // zoom from which points are drawn as their images
const SIDE = 30; // of these, pixels

/** Draws what a CodeMap shows. */
export function drawMap(map) {
  const { canvas, view, marked, points } = map;
  const ratio = devicePixelRatio;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const alone = Math.min(4, Math.max(2.1, 90 / Math.sqrt(points.length))); // few points may be larger
  const radius = Math.min(7, alone * Math.sqrt(view.zoom));
  const ink = getComputedStyle(canvas).color;
  const faint = isDark() ? 0.6 : 0.45;
  context.globalAlpha = marked.place !== null || marked.ids.size ? faint : 0.85; // what is marked stands out
  for (const point of points) {
    if (!map.hidden.has(point.number)) dot(map, context, point, radius, ink);
  }
  context.globalAlpha = 1;
  if (view.zoom >= NEAR) drawPictures(map, context, ink);
  for (const point of points) {
    if (marked.ids.has(point.id)) dot(map, context, point, radius + 2.5, ink, true);
  }
  const here = points.find((point) => point.id === (marked.query ?? marked.place)) ?? points.find((point) => point.id === marked.place);
  if (here) ring(map, context, here, ink);
  if (map.found) dot(map, context, map.found, radius + 2, ink, true);
  if (map.frame) frame(map, context, ink);
}

function dot(map, context, point, radius, ink, hasEdge = false) {
  const [x, y] = map.place(point);
  const { colour, shape } = lookOf(point.number, ink);
  trace(context, shape, x, y, radius);
  context.fillStyle = colour;
  context.fill();
  if (!hasEdge) return;
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.stroke();
}

/** Points as their images, where there is room: of those that would cover each other, the first. */
function drawPictures(map, context, ink) {
  const taken = new Set();
  for (const point of map.points) {
    const [x, y] = map.place(point);
    const cell = `${Math.floor(x / SIDE)} ${Math.floor(y / SIDE)}`;
    const outside = x < 0 || y < 0 || x > map.canvas.clientWidth || y > map.canvas.clientHeight;
    if (outside || taken.has(cell) || map.hidden.has(point.number)) continue;
    taken.add(cell);
    const picture = map.pictures.get(point.id) ?? fetchPicture(map, point.id);
    if (!picture.complete || !picture.naturalWidth) continue;
    context.fillStyle = lookOf(point.number, ink).colour;
    context.fillRect(x - SIDE / 2 - 2, y - SIDE / 2 - 2, SIDE + 4, SIDE + 4);
    context.drawImage(picture, x - SIDE / 2, y - SIDE / 2, SIDE, SIDE);
  }
}

function fetchPicture(map, id) {
  const picture = new Image();
  picture.addEventListener("load", () => map.draw());
  picture.src = api.picture(id);
  map.pictures.set(id, picture);
  return picture;
}

function ring(map, context, point, ink) {
  const [x, y] = map.place(point);
  context.strokeStyle = ink;
  context.fillStyle = ink;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 12, 0, 2 * Math.PI);
  context.stroke();
  context.font = "600 12px system-ui, sans-serif";
  const atEdge = x > map.canvas.clientWidth - 60;
  context.textAlign = atEdge ? "right" : "left";
  context.fillText("query", atEdge ? x - 16 : x + 16, y + 4);
}

function frame(map, context, ink) {
  const [[x0, y0], [x1, y1]] = map.frame;
  context.fillStyle = ink;
  context.globalAlpha = 0.12;
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.setLineDash([5, 4]);
  context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  context.setLineDash([]);
}
