// Runs side by side: one row for each item, with the report's widgets.
"use strict";
(() => {
  const P = window.Pixaris;
  const { h } = P;
  const $ = (id) => document.getElementById(id);
  const data = P.data();
  const MODES = { side: "Side by side", slider: "Slider", flicker: "Flicker", difference: "Difference" };
  const KEYS = { s: "slider", f: "flicker", d: "difference", Escape: "side" };
  const state = { mode: "side", against: "run:0" };
  const zooms = new Map();

  const picture = (url, alt) => h("img", { src: url, alt, decoding: "async", draggable: "false" });
  const stage = (zoom, url, alt) => {
    const shown = picture(url, alt);
    shown.classList.add("picture");
    const element = h("div", { class: "stage" }, shown);
    zoom.add(element);
    return element;
  };
  const base = (item) => {
    const [kind, at] = state.against.split(":");
    if (kind === "run") return [item.made[at].url, data.runs[at], Number(at)];
    return [item.given[at]?.url, item.given[at]?.words, -1];
  };
  const words = (scores) => Object.entries(scores || {}).map(([name, value]) => `${name} ${value.toFixed(4)}`).join(", ");
  const made = (item, at, zoom) => {
    const cell = item.made[at];
    const caption = h("figcaption", {}, h("b", {}, data.runs[at]), h("br"), words(cell.scores));
    if (!cell.url) return h("figure", {}, h("div", { class: "stage problem" }, cell.problem), caption);
    caption.append(" ", h("a", { href: cell.full }, "original"));
    if (cell.problem) caption.append(h("p", { class: "problem" }, cell.problem));
    const alt = `${item.name}, ${data.runs[at]}`;
    const [other, otherName, place] = base(item);
    if (state.mode === "side" || !other || place === at) return h("figure", {}, stage(zoom, cell.url, alt), caption);
    const pair = P.pair(h("div", { class: "pair stage" }), picture(other, `${item.name}, ${otherName}`), picture(cell.url, alt), [otherName, data.runs[at]]);
    P.setMode(pair, state.mode);
    zoom.add(pair);
    return h("figure", {}, pair, caption);
  };
  const fill = (row) => {
    const item = data.items[row.dataset.item];
    const level = h("span", { class: "note" });
    const zoom = new P.Zoom(({ scale }) => (level.textContent = scale === 1 ? "" : `${scale.toFixed(1)}×`));
    zooms.set(row, zoom);
    const button = (label, text, act) => h("button", { type: "button", "aria-label": `${label}, ${item.name}`, onclick: act }, text);
    const given = item.given.map(({ words: said, url }) => h("figure", {}, stage(zoom, url, `${item.name}, ${said}`), h("figcaption", {}, said)));
    const cells = h("div", { class: "cells", tabindex: 0, role: "region", "aria-label": `${item.name}, side by side` },
      given, item.made.map((_, at) => made(item, at, zoom)));
    row.replaceChildren(h("div", { class: "head" }, h("b", {}, item.name), button("Zoom in", "+", () => zoom.by(1.5)),
      button("Zoom out", "−", () => zoom.by(1 / 1.5)), button("Whole image", "0", () => zoom.reset()), level), cells);
  };
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !zooms.has(target)) fill(target);
      if (!isIntersecting && zooms.has(target)) {
        target.style.minHeight = `${target.offsetHeight}px`;
        zooms.delete(target);
        target.replaceChildren();
      }
    }
  }, { rootMargin: "600px" });

  const setMode = (mode) => {
    state.mode = mode;
    for (const box of $("tools").querySelectorAll("input[name=mode]")) box.checked = box.value === mode;
    for (const row of [...zooms.keys()]) fill(row);
  };
  const tools = () => {
    const modes = h("fieldset", {}, h("legend", {}, "Show"), Object.entries(MODES).map(([mode, text]) => h("label", {},
      h("input", { type: "radio", name: "mode", value: mode, checked: mode === "side", onchange: () => setMode(mode) }), ` ${text}`)));
    const bases = [...data.runs.map((name, at) => [`run:${at}`, name]), ...(data.items[0]?.given ?? []).map(({ words: said }, at) => [`given:${at}`, said])];
    const against = h("select", { onchange: () => { state.against = against.value; setMode(state.mode); } },
      bases.map(([key, text]) => h("option", { value: key }, text)));
    $("tools").replaceChildren(modes, h("label", {}, "against ", against), h("span", { class: "note" }, "keys: s f d Esc, + − 0 in a row"));
  };
  document.addEventListener("keydown", (event) => {
    if (P.isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const zoom = zooms.get(event.target.closest?.("li"));
    if (event.key in KEYS) setMode(state.mode === KEYS[event.key] ? "side" : KEYS[event.key]);
    else if (zoom && (event.key === "+" || event.key === "=")) zoom.by(1.5);
    else if (zoom && event.key === "-") zoom.by(1 / 1.5);
    else if (zoom && event.key === "0") zoom.reset();
    else return;
    event.preventDefault();
  });

  tools();
  document.documentElement.style.setProperty("--columns", (data.items[0]?.given.length ?? 0) + data.runs.length);
  for (const at of data.items.keys()) {
    const row = h("li", { class: "item", "data-item": at });
    $("items").append(row);
    near.observe(row);
  }
})();
