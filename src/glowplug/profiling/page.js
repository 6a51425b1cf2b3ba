// What the page can do with JavaScript on; without it, everything is there and only these two are missing:
// dragging over a waterfall zooms into that time, and a span lights up in the drawing and the table together.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const THINNEST = 1.5;

class Waterfall {
  constructor(svg) {
    this.svg = svg;
    this.whole = [Number(svg.dataset.low), Number(svg.dataset.high)];
    this.shown = this.whole;
    this.left = Number(svg.dataset.left);
    this.right = Number(svg.dataset.right);
    this.chosen = null;
    svg.addEventListener("pointerdown", (event) => this.begin(event));
    svg.addEventListener("pointermove", (event) => this.choose(event));
    svg.addEventListener("pointerup", (event) => this.zoom(event));
    svg.addEventListener("pointercancel", () => this.forget());
    svg.addEventListener("dblclick", () => this.show(...this.whole));
  }

  at(moment) {
    const [low, high] = this.shown;
    return this.left + ((moment - low) / (high - low)) * (this.right - this.left);
  }

  x(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return Math.min(this.right, Math.max(this.left, place.x));
  }

  begin(event) {
    this.from = this.x(event);
    this.chosen = document.createElementNS(SVG, "rect");
    this.chosen.setAttribute("class", "gp-chosen");
    this.chosen.setAttribute("height", this.svg.viewBox.baseVal.height);
    this.svg.append(this.chosen);
    this.svg.setPointerCapture(event.pointerId);
  }

  choose(event) {
    if (!this.chosen) return;
    const to = this.x(event);
    this.chosen.setAttribute("x", Math.min(this.from, to));
    this.chosen.setAttribute("width", Math.abs(to - this.from));
  }

  zoom(event) {
    if (!this.chosen) return;
    const ends = [this.from, this.x(event)].sort((a, b) => a - b);
    this.forget();
    if (ends[1] - ends[0] < 5) return;
    const [low, high] = this.shown;
    this.show(...ends.map((x) => low + ((x - this.left) / (this.right - this.left)) * (high - low)));
  }

  forget() {
    this.chosen?.remove();
    this.chosen = null;
  }

  show(low, high) {
    this.shown = [low, high];
    for (const row of this.svg.querySelectorAll(".gp-row")) this.place(row);
    for (const mark of this.svg.querySelectorAll(".gp-mark")) {
      const moment = Number(mark.dataset.at);
      mark.style.display = low <= moment && moment <= high ? "" : "none";
      for (const end of ["x1", "x2"]) mark.firstElementChild.setAttribute(end, this.at(moment));
    }
    this.ticks();
  }

  place(row) {
    const [low, high] = this.shown;
    const start = Number(row.dataset.start), end = Number(row.dataset.end);
    const bar = row.querySelector(".gp-bar"), length = row.querySelector(".gp-length");
    const inside = end >= low && start <= high;
    bar.style.display = length.style.display = inside ? "" : "none";
    if (!inside) return;
    const from = Math.max(this.left, this.at(start));
    const to = Math.max(from + THINNEST, Math.min(this.right, this.at(end)));
    bar.setAttribute("x", from);
    bar.setAttribute("width", to - from);
    const behind = to + 6 + length.getComputedTextLength() <= this.right + 10;
    const before = from - 6 - length.getComputedTextLength() >= this.left;
    length.setAttribute("x", behind ? to + 4 : before ? from - 4 : to - 4);
    length.setAttribute("text-anchor", behind ? "start" : "end");
  }

  ticks() {
    const [low, high] = this.shown;
    const raw = (high - low) / 8, magnitude = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => size >= raw);
    const moments = [];
    for (let number = Math.ceil(low / step); number * step <= high; number++) moments.push(number * step);
    const [unit, factor] = step >= 0.1 ? ["s", 1] : ["ms", 1000];
    const digits = Math.max(0, -Math.floor(Math.log10(step * factor) + 1e-9));
    for (const group of this.svg.querySelectorAll(".gp-ticks")) {
      const pattern = group.firstElementChild;
      group.replaceChildren(...moments.map((moment) => {
        const tick = pattern.cloneNode();
        const x = this.at(moment);
        if (tick.tagName === "text") {
          const late = x > this.right - 40;
          tick.textContent = `${(moment * factor).toFixed(digits)} ${unit}`;
          tick.setAttribute("x", late ? x - 3 : x + 3);
          tick.setAttribute("text-anchor", late ? "end" : "start");
        } else {
          tick.setAttribute("x1", x);
          tick.setAttribute("x2", x);
        }
        return tick;
      }));
    }
  }
}

for (const svg of document.querySelectorAll(".gp-waterfall")) {
  new Waterfall(svg);
  const hint = document.createElement("p");
  hint.className = "dim";
  hint.textContent = "Drag over the waterfall to see a part of it, double-click to see all again.";
  svg.parentElement.after(hint);
}

const light = (event, on) => {
  const one = event.target.closest?.("[data-span]");
  if (!one) return;
  const same = `[data-span="${one.dataset.span}"]`;
  for (const each of one.closest("article").querySelectorAll(same)) each.classList.toggle("gp-hover", on);
};
document.addEventListener("mouseover", (event) => light(event, true));
document.addEventListener("mouseout", (event) => light(event, false));
