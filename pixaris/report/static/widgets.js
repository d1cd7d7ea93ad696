// Looking at images side by side: pairs with a slider, flicker or difference, and zoom that several follow.
// Shared by the report and the review page. No library, no request, no innerHTML.
"use strict";
window.Pixaris = window.Pixaris || {};
(() => {
  const P = window.Pixaris;
  const FLICKER_MS = 500; // one change each half second: a third of what WCAG 2.3.1 allows
  const MOST_ZOOM = 16;

  /** Make an element. Texts become text nodes; attributes that are null or false are left out. */
  P.h = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** Order of two values, numbers as numbers; what is missing comes last. */
  P.compared = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };

  const TERM = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/;

  /** Whether a word of a filter holds: text that is found somewhere, or a comparison such as `amount>0.3`. */
  P.holds = (word, text, lookup) => {
    const parts = TERM.exec(word);
    if (!parts) return text.toLowerCase().includes(word.toLowerCase());
    const [, name, sign, wanted] = parts;
    const found = lookup(name);
    if (found === undefined || found === null) return false;
    const numeric = typeof found === "number" && wanted !== "" && !Number.isNaN(Number(wanted));
    const order = numeric ? found - Number(wanted) : String(found).localeCompare(wanted);
    return { "=": order === 0, "!=": order !== 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0 }[sign];
  };

  /** A state of zoom, in fractions of an image, that all stages which were added show. */
  P.Zoom = class {
    constructor(changed = () => {}) {
      this.stages = new Set();
      this.changed = changed;
      this.reset();
    }

    reset() {
      this.scale = 1;
      this.x = 0.5;
      this.y = 0.5;
      this.apply();
    }

    /** Zoom by a factor; the point under (x, y), in fractions of the stage, stays where it is. */
    by(factor, x = 0.5, y = 0.5) {
      const scale = Math.min(MOST_ZOOM, Math.max(1, this.scale * factor));
      const grown = 1 / this.scale - 1 / scale;
      this.x += (x - 0.5) * grown;
      this.y += (y - 0.5) * grown;
      this.scale = scale;
      this.apply();
    }

    /** Move by fractions of the stage. */
    pan(x, y) {
      this.x -= x / this.scale;
      this.y -= y / this.scale;
      this.apply();
    }

    apply() {
      const half = 0.5 / this.scale;
      this.x = Math.min(1 - half, Math.max(half, this.x));
      this.y = Math.min(1 - half, Math.max(half, this.y));
      for (const stage of this.stages) this.show(stage);
      this.changed(this);
    }

    show(stage) {
      const shift = (at) => `${((0.5 - at * this.scale) * 100).toFixed(3)}%`;
      const transform = `translate(${shift(this.x)}, ${shift(this.y)}) scale(${this.scale})`;
      for (const layer of stage.querySelectorAll(".picture")) layer.style.transform = transform;
      stage.classList.toggle("zoomed", this.scale > 1);
      stage.classList.toggle("pixels", this.scale >= 3);
    }

    /** Follow a stage's wheel (with Ctrl, as a pinch on a touchpad is), drag and double click. */
    add(stage) {
      this.stages.add(stage);
      const at = (event) => {
        const box = stage.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      };
      stage.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && this.scale === 1) return; // the page scrolls
        event.preventDefault();
        this.by(Math.exp(-event.deltaY / 300), ...at(event));
      }, { passive: false });
      stage.addEventListener("dblclick", (event) => (this.scale > 1 ? this.reset() : this.by(3, ...at(event))));
      let last = null;
      stage.addEventListener("pointerdown", (event) => {
        if (this.scale === 1 || event.target.tagName === "INPUT") return;
        last = at(event);
        stage.setPointerCapture(event.pointerId);
      });
      stage.addEventListener("pointermove", (event) => {
        if (!last) return;
        const now = at(event);
        this.pan(now[0] - last[0], now[1] - last[1]);
        last = now;
      });
      for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (last = null));
      this.show(stage);
    }
  };

  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
  const flickering = new Set();
  let timer = 0;

  const flicker = () => {
    for (const pair of flickering) {
      if (pair.isConnected) pair.classList.toggle("swapped");
      else flickering.delete(pair);
    }
    if (!flickering.size) timer = clearInterval(timer) || 0;
  };

  /**
   * Show two images in one place.
   * Modes: "side" (the second alone), "slider", "flicker", "difference".
   */
  P.pair = (pair, under, over, labels) => {
    under.classList.add("picture");
    over.classList.add("picture");
    const range = P.h("input", {
      type: "range", min: 0, max: 100, value: 50, class: "cut",
      "aria-label": `${labels[0]} left of the line, ${labels[1]} right of it`,
      oninput: () => pair.style.setProperty("--cut", `${range.value}%`),
    });
    const swap = P.h("button", { type: "button", class: "swap", onclick: () => pair.classList.toggle("swapped") }, "Swap");
    pair.replaceChildren(P.h("div", { class: "under" }, under), P.h("div", { class: "over" }, over), range, swap);
    pair.append(P.h("span", { class: "label left" }, labels[0]), P.h("span", { class: "label right" }, labels[1]));
    pair.style.setProperty("--cut", "50%");
    return pair;
  };

  P.setMode = (pair, mode) => {
    pair.dataset.mode = mode;
    pair.classList.remove("swapped");
    flickering.delete(pair);
    if (mode === "flicker" && !still()) {
      flickering.add(pair);
      timer = timer || setInterval(flicker, FLICKER_MS);
    }
  };

  /** Turn what the page has as two images into a pair. */
  P.enhancePairs = (root) => {
    for (const pair of root.querySelectorAll(".pair[data-pair]")) {
      const [under, over] = pair.querySelectorAll("img");
      P.pair(pair, under, over, [under.dataset.label, over.dataset.label]);
      const zoom = new P.Zoom();
      zoom.add(pair);
      P.setMode(pair, pair.dataset.pair);
    }
  };
})();
