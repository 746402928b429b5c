// The map of the codes on a canvas: moved by dragging, zoomed by the wheel; a click searches, a frame selects.
import * as api from "./api.js";
import { button, byId, count, sharpen } from "./elements.js";
import { drawMap } from "./map-drawing.js";
import { listenToMap } from "./map-input.js";
import { groupLabel } from "./palette.js";

const REACH = 14; // pixels around the pointer in which a point is found
const MARGIN = 30; // pixels beside the points, both sides together: what is marked has a ring around it
const STATES = {
  drawing: "The map is being drawn: once for a gallery, in about a minute. It will appear here.",
  failed: "The map could not be drawn; the terminal of the server says why.",
  "too few images": "A map needs four images or more.",
};
const USE =
  "Drag to move, wheel to zoom, click to search. To select several, press Select (or hold Shift) and drag over them. " +
  "With the keyboard: arrows, + and −, 0 for all, Enter to search from the middle, S to select all in view.";

export class CodeMap {
  /** `onSearch` is given the id of an image, `onSelect` the ids of several. */
  constructor(onSearch, onSelect) {
    this.onSearch = onSearch;
    this.onSelect = onSelect;
    this.canvas = byId("canvas");
    this.points = [];
    this.groups = [];
    this.pictures = new Map(); // by id, of points that were seen from near
    this.view = { zoom: 1, x: 0.5, y: 0.5 }; // the point of the map that is in the middle; the map is the unit square
    this.hidden = new Set(); // groups that are not shown
    this.marked = { place: null, ids: new Set(), query: null };
    this.found = null;
    this.isSelecting = false; // whether dragging selects
    this.frame = null; // of a selection: two corners, [x, y] each
    sharpen(byId("map-tip").querySelector("img"));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    listenToMap(this);
  }

  async load() {
    const reply = await api.map().catch(() => ({ state: "failed" }));
    if (reply.state === "drawing") setTimeout(() => this.load(), 2000);
    byId("map-state").textContent = STATES[reply.state] ?? "";
    byId("map-state").hidden = reply.state === "ready";
    if (reply.state !== "ready") return;
    const [left, right, top, bottom] = [Math.min(...reply.x), Math.max(...reply.x), Math.min(...reply.y), Math.max(...reply.y)];
    const size = Math.max(right - left, bottom - top) || 1;
    this.groups = reply.groups;
    this.points = reply.ids.map((id, row) => ({
      id,
      x: (reply.x[row] - (left + right) / 2) / size + 0.5,
      y: 0.5 - (reply.y[row] - (top + bottom) / 2) / size,
      number: reply.group_of[row],
      name: reply.names[row],
    }));
    this.showLegend(reply.grouped_by);
    byId("map-hint").textContent = `${count(reply.ids.length)} codes by t-SNE: near means alike. ${USE}`;
    this.draw();
  }

  showLegend(by) {
    const numbers = [...new Set(this.points.map((point) => point.number))].filter((number) => number >= 0).sort((a, b) => a - b);
    byId("map-legend").ariaLabel = by === "class" ? "Classes" : "Sub-folders";
    byId("map-legend").replaceChildren(
      ...numbers.map((number) => {
        const toggle = button("", () => {
          const shown = this.hidden.delete(number) || !this.hidden.add(number);
          toggle.ariaPressed = String(shown);
          this.draw();
        }, { ariaPressed: "true", title: "Show or hide" });
        toggle.append(groupLabel(this.groups[number], this.groups));
        const item = document.createElement("li");
        item.append(toggle);
        return item;
      }),
    );
  }

  /** Marks near which point the query lies, the neighbours that are on the map, and the query if it is. */
  mark(place, ids, query = null) {
    this.marked = { place, ids: new Set(ids), query };
    this.draw();
  }

  draw() {
    drawMap(this);
  }

  /** Pixels a unit. */
  get scale() {
    return (Math.min(this.canvas.clientWidth, this.canvas.clientHeight) - MARGIN) * this.view.zoom;
  }

  place(point) {
    return [
      this.canvas.clientWidth / 2 + (point.x - this.view.x) * this.scale,
      this.canvas.clientHeight / 2 + (point.y - this.view.y) * this.scale,
    ];
  }

  /** The points that are shown within two corners of the canvas. */
  within([x0, y0], [x1, y1]) {
    return this.points.filter((point) => {
      const [x, y] = this.place(point);
      const isInside = x >= Math.min(x0, x1) && x <= Math.max(x0, x1) && y >= Math.min(y0, y1) && y <= Math.max(y0, y1);
      return isInside && !this.hidden.has(point.number);
    });
  }

  /** Selects the points within two corners, all of the canvas if there are none. */
  select(corner = [0, 0], other = [this.canvas.clientWidth, this.canvas.clientHeight]) {
    this.setSelecting(false);
    const ids = this.within(corner, other).map((point) => point.id);
    if (ids.length) this.onSelect(ids);
    this.draw();
  }

  setSelecting(isSelecting) {
    this.isSelecting = isSelecting;
    this.frame = null;
    byId("map-select").ariaPressed = String(isSelecting);
    this.canvas.style.cursor = isSelecting ? "crosshair" : "grab";
    this.draw();
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
    if (!this.isSelecting) this.canvas.style.cursor = point ? "pointer" : "grab";
    if (point) {
      tip.querySelector("img").src = api.picture(point.id);
      tip.querySelector("figcaption").replaceChildren(point.number < 0 ? point.name : groupLabel(this.groups[point.number], this.groups));
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
}
