// The map of the codes on a canvas: moved by dragging, zoomed by the wheel; a click searches from the point there.
import * as api from "./api.js";
import { byId, classColour, classLabel, element, sharpen } from "./elements.js";

const REACH = 14; // pixels around the pointer in which a point is found
const NEAR = 5; // zoom from which points are drawn as their images
const SIDE = 30; // of these, pixels
const STATES = {
  drawing: "The map is being drawn: once for a gallery, in about a minute. It will appear here.",
  failed: "The map could not be drawn; the terminal of the server says why.",
  "too few images": "A map needs four images or more.",
};

export class CodeMap {
  constructor(classes, onSearch) {
    this.classes = classes;
    this.onSearch = onSearch;
    this.canvas = byId("canvas");
    this.points = [];
    this.pictures = new Map(); // by id, of points that were seen from near
    this.view = { zoom: 1, x: 0.5, y: 0.5 }; // the point of the map that is in the middle; the map is the unit square
    this.hidden = new Set(); // classes that are not shown
    this.marked = { place: null, ids: new Set(), query: null };
    this.found = null;
    sharpen(byId("map-tip").querySelector("img"));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  async load() {
    let reply;
    try {
      reply = await api.map();
    } catch (error) {
      reply = { state: "failed" };
    }
    if (reply.state === "drawing") setTimeout(() => this.load(), 2000);
    byId("map-state").textContent = STATES[reply.state] ?? "";
    byId("map-state").hidden = reply.state === "ready";
    if (reply.state !== "ready") return;
    const [left, right, top, bottom] = [Math.min(...reply.x), Math.max(...reply.x), Math.min(...reply.y), Math.max(...reply.y)];
    const size = Math.max(right - left, bottom - top) || 1;
    this.points = reply.ids.map((id, row) => ({
      id,
      x: (reply.x[row] - (left + right) / 2) / size + 0.5,
      y: 0.5 - (reply.y[row] - (top + bottom) / 2) / size,
      number: reply.classes[row],
      name: reply.names[row],
    }));
    this.showLegend();
    byId("map-hint").textContent =
      `${reply.ids.length.toLocaleString("en")} codes by t-SNE: near means alike. Drag to move, wheel to zoom, click to ` +
      "search. With the keyboard: arrows, + and −, 0 for all, Enter to search from the middle.";
    this.draw();
  }

  showLegend() {
    const numbers = [...new Set(this.points.map((point) => point.number))].filter((number) => number >= 0).sort((a, b) => a - b);
    byId("map-legend").replaceChildren(
      ...numbers.map((number) => {
        const button = element("button", { type: "button", ariaPressed: "true", title: "Show or hide" }, classLabel(this.classes[number], this.classes));
        button.addEventListener("click", () => {
          const shown = this.hidden.delete(number) || !this.hidden.add(number);
          button.ariaPressed = String(shown);
          this.draw();
        });
        return element("li", {}, button);
      }),
    );
  }

  /** Marks near which point the query lies, the neighbours that are on the map, and the query if it is. */
  mark(place, ids, query = null) {
    this.marked = { place, ids: new Set(ids), query };
    this.draw();
  }

  /** Pixels a unit, and the middle of the canvas. */
  get scale() {
    return 0.94 * Math.min(this.canvas.clientWidth, this.canvas.clientHeight) * this.view.zoom;
  }

  place(point) {
    return [
      this.canvas.clientWidth / 2 + (point.x - this.view.x) * this.scale,
      this.canvas.clientHeight / 2 + (point.y - this.view.y) * this.scale,
    ];
  }

  draw() {
    const { canvas, view, marked } = this;
    const ratio = devicePixelRatio;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const alone = Math.min(4, Math.max(1.8, 90 / Math.sqrt(this.points.length))); // few points may be larger
    const radius = Math.min(7, alone * Math.sqrt(view.zoom));
    const ink = getComputedStyle(canvas).color;
    const quiet = marked.place !== null || marked.ids.size ? 0.45 : 0.8; // what is marked stands out
    context.globalAlpha = quiet;
    for (const point of this.points) {
      if (this.hidden.has(point.number)) continue;
      this.dot(context, point, radius, classColour(point.number, this.classes.length));
    }
    context.globalAlpha = 1;
    if (view.zoom >= NEAR) this.drawPictures(context);
    for (const point of this.points) {
      if (!marked.ids.has(point.id)) continue;
      this.dot(context, point, radius + 2.5, classColour(point.number, this.classes.length), ink);
    }
    const here = this.points.find((point) => point.id === (marked.query ?? marked.place)) ?? this.points.find((point) => point.id === marked.place);
    if (here) this.ring(context, here, ink);
    if (this.found) this.dot(context, this.found, radius + 2, classColour(this.found.number, this.classes.length), ink);
  }

  dot(context, point, radius, colour, edge = null) {
    const [x, y] = this.place(point);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    if (!edge) return;
    context.strokeStyle = edge;
    context.lineWidth = 1.5;
    context.stroke();
  }

  /** Points as their images, where there is room: of those that would cover each other, the first. */
  drawPictures(context) {
    const taken = new Set();
    for (const point of this.points) {
      const [x, y] = this.place(point);
      const cell = `${Math.floor(x / SIDE)} ${Math.floor(y / SIDE)}`;
      const outside = x < 0 || y < 0 || x > this.canvas.clientWidth || y > this.canvas.clientHeight;
      if (outside || taken.has(cell) || this.hidden.has(point.number)) continue;
      taken.add(cell);
      const picture = this.pictures.get(point.id) ?? this.fetchPicture(point.id);
      if (!picture.complete || !picture.naturalWidth) continue;
      context.fillStyle = classColour(point.number, this.classes.length);
      context.fillRect(x - SIDE / 2 - 2, y - SIDE / 2 - 2, SIDE + 4, SIDE + 4);
      context.drawImage(picture, x - SIDE / 2, y - SIDE / 2, SIDE, SIDE);
    }
  }

  fetchPicture(id) {
    const picture = new Image();
    picture.addEventListener("load", () => this.draw());
    picture.src = api.picture(id);
    this.pictures.set(id, picture);
    return picture;
  }

  ring(context, point, ink) {
    const [x, y] = this.place(point);
    context.strokeStyle = ink;
    context.fillStyle = ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 12, 0, 2 * Math.PI);
    context.stroke();
    context.font = "600 12px system-ui, sans-serif";
    const atEdge = x > this.canvas.clientWidth - 60;
    context.textAlign = atEdge ? "right" : "left";
    context.fillText("query", atEdge ? x - 16 : x + 16, y + 4);
  }

  nearest(x, y, reach) {
    let best = null;
    let least = reach * reach;
    for (const point of this.points) {
      if (this.hidden.has(point.number)) continue;
      const [px, py] = this.place(point);
      const squared = (px - x) ** 2 + (py - y) ** 2;
      if (squared <= least) [best, least] = [point, squared];
    }
    return best;
  }

  /** Shows the image of the point at a place of the canvas. */
  look(x, y, reach = REACH) {
    const point = this.nearest(x, y, reach);
    if (point?.id === this.found?.id) return;
    this.found = point;
    const tip = byId("map-tip");
    tip.hidden = !point;
    this.canvas.style.cursor = point ? "pointer" : "grab";
    if (point) {
      tip.querySelector("img").src = api.picture(point.id);
      const label = point.number < 0 ? point.name : classLabel(this.classes[point.number], this.classes);
      tip.querySelector("figcaption").replaceChildren(label);
      const [px, py] = this.place(point);
      tip.style.left = `${Math.min(Math.max(px, 60), this.canvas.clientWidth - 60)}px`;
      tip.style.top = `${py}px`;
      tip.classList.toggle("below", py < 150);
    }
    this.draw();
  }

  lookAtMiddle() {
    this.look(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2, Infinity);
  }

  move(dx, dy) {
    this.view.x -= dx / this.scale;
    this.view.y -= dy / this.scale;
    this.draw();
  }

  /** Zooms so that what is at (x, y) of the canvas stays there. */
  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(60, Math.max(0.8, this.view.zoom * factor));
    const [dx, dy] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    const before = this.scale;
    this.view.zoom = zoom;
    this.view.x += dx / before - dx / this.scale;
    this.view.y += dy / before - dy / this.scale;
    this.draw();
  }

  all() {
    this.view = { zoom: 1, x: 0.5, y: 0.5 };
    this.draw();
  }

  listen() {
    const { canvas } = this;
    const fingers = new Map();
    let moved = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(2 ** (-event.deltaY / 300), event.offsetX, event.offsetY);
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (!fingers.size) moved = 0;
      fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = [event.offsetX, event.offsetY];
      const before = fingers.get(event.pointerId);
      if (!before) return this.look(...here);
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const [dx, dy] = [here[0] - before[0], here[1] - before[1]];
      moved += Math.hypot(dx, dy);
      fingers.set(event.pointerId, here);
      if (others.length) {
        const apart = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]) || 1;
        this.zoom(apart(here) / apart(before), ...others[0]);
      } else if (moved > 3) {
        this.move(dx, dy);
      }
    });
    canvas.addEventListener("pointerup", (event) => {
      fingers.delete(event.pointerId);
      if (moved > 3) return;
      this.look(event.offsetX, event.offsetY);
      if (this.found) this.onSearch({ id: this.found.id });
    });
    canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.look(-1, -1, 0));
    canvas.addEventListener("blur", () => this.look(-1, -1, 0));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    byId("map-in").addEventListener("click", () => this.zoom(1.6));
    byId("map-out").addEventListener("click", () => this.zoom(1 / 1.6));
    byId("map-all").addEventListener("click", () => this.all());
  }

  onKey(event) {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) this.move(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.all();
    else if (event.key !== "Enter") return;
    event.preventDefault();
    this.lookAtMiddle();
    if (event.key === "Enter" && this.found) this.onSearch({ id: this.found.id });
  }
}
