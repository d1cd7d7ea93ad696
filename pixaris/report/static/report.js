// The report: rows that are filled when they come near, sorting, filtering, comparing, keys.
"use strict";
(() => {
  const P = window.Pixaris;
  const { h } = P;
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const NEAR = "600px";
  const MOST_COLUMNS = 8;
  const SIGNS = { better: "▲ better", tied: "~ tied", worse: "▼ worse", "": "" };
  const MODES = { side: "Side by side", slider: "Slider", flicker: "Flicker", difference: "Difference" };

  // Pictures: groups of base64 texts, read when one of them is wanted.
  const chunks = new Map();
  const picture = (number) => {
    const chunk = Math.floor(number / data.perChunk);
    if (!chunks.has(chunk)) chunks.set(chunk, JSON.parse($(`pictures-${chunk}`).textContent));
    return `data:image/webp;base64,${chunks.get(chunk)[number % data.perChunk]}`;
  };
  const image = (number, alt) => h("img", { src: picture(number), alt, decoding: "async", draggable: "false" });

  // State, kept in the address so that a view can be linked to and outlives a refresh.
  const winner = data.sets.findIndex((set) => set.role.includes("winner"));
  const baseline = data.sets.findIndex((set) => set.role.includes("baseline"));
  const preset = () => {
    const wanted = [baseline, ...data.sets.keys()].filter((at) => at >= 0);
    return [...new Set(wanted)].slice(0, 3);
  };
  const state = {
    sort: "rank", down: false, filter: "", status: "", mode: "side", against: "", overlay: "",
    worse: false, chosen: preset(),
  };
  const keep = () => {
    const words = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) words.set(key, value);
    history.replaceState(null, "", `#${words}`);
  };
  const restore = () => {
    const words = new URLSearchParams(location.hash.slice(1));
    if (!words.has("sort")) return;
    for (const key of ["sort", "filter", "status", "against", "overlay"]) state[key] = words.get(key) ?? "";
    state.mode = words.get("mode") in MODES ? words.get("mode") : "side";
    state.down = words.get("down") === "true";
    state.worse = words.get("worse") === "true";
    const chosen = (words.get("chosen") || "").split(",").filter(Boolean).map(Number);
    state.chosen = chosen.filter((at) => at in data.sets).slice(0, MOST_COLUMNS);
  };

  // Rows: one element each until they come near, and again when they have left.
  const fillers = new WeakMap();
  const filled = (target, on) => {
    const row = fillers.get(target);
    if (row.filled === on) return;
    if (on) {
      row.text = target.textContent;
      target.replaceChildren(...row.fill(target));
    } else {
      target.style.minHeight = `${target.offsetHeight}px`;
      target.replaceChildren(row.text);
    }
    row.filled = on;
    target.classList.toggle("filled", on);
    if (on) reserve(target);
  };
  // Empty rows are as high as the first one that was filled: else whoever jumps to a row sees it pushed away by
  // those above it, which fill and grow.
  const reserved = new WeakMap();
  const reserve = ({ parentElement: list, offsetHeight }) => {
    if (reserved.get(list) === innerWidth) return;
    reserved.set(list, innerWidth);
    list.style.setProperty("--row", `${offsetHeight}px`);
  };
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting || !target.contains(document.activeElement)) filled(target, isIntersecting);
    }
  }, { rootMargin: NEAR });
  const lazy = (element, fill) => {
    fillers.set(element, { fill, filled: false, text: "" });
    near.observe(element);
  };
  const refill = (list) => {
    for (const element of list.children) {
      const row = fillers.get(element);
      if (row.filled) {
        row.zoom = null;
        element.style.minHeight = "";
        element.replaceChildren(...row.fill(element));
      }
    }
  };

  // Numbers and words.
  const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value));
  const score = (value) => (value === null || value === undefined ? "no score" : value.toFixed(4));
  const names = data.metrics.map((metric) => metric.name);
  const lower = data.metrics.length && data.metrics[0].direction === "min";
  const scoreWords = (set, item) =>
    names.map((name, at) => `${name} ${score(set.scores[at][item])}`).join(", ");
  const original = (set, item) => {
    if (set.folder === null || set.images[item] === null) return null;
    const parts = (set.folder + (set.files[item] ?? data.items[item].file)).split("/");
    return parts.map(encodeURIComponent).join("/");
  };

  // Sets
  const means = data.sets.map((set) => set.means[0]).filter((value) => value !== null);
  const range = [Math.min(...means), Math.max(...means)];
  const bar = (set) => {
    if (set.means[0] === null) return null;
    const wide = range[1] - range[0] || 1;
    const at = (value) => Math.min(100, Math.max(0, ((value - range[0]) / wide) * 100));
    const half = set.half ?? 0;
    const left = at(set.means[0] - half);
    const line = h("i", { class: "interval" });
    line.style.left = `${left}%`;
    line.style.width = `${at(set.means[0] + half) - left}%`;
    const dot = h("i", { class: "mean" });
    dot.style.left = `${at(set.means[0])}%`;
    return h("span", { class: "scale", "aria-hidden": "true" }, line, dot);
  };
  const fillSet = (place) => () => {
    const set = data.sets[place];
    const box = h("input", {
      type: "checkbox", checked: state.chosen.includes(place), onchange: () => choose(place, box.checked),
    });
    const half = set.half === null ? "" : ` ± ${set.half.toFixed(4)}`;
    const others = names.slice(1).map((name, at) => `${name} ${score(set.means[at + 1])}`);
    const facts = h("div", { class: "facts" },
      h("div", { class: "head" },
        h("span", { class: "place" }, String(place + 1)), h("b", {}, set.name),
        set.role ? h("span", { class: `badge ${set.role.split(/[ ,]/)[0]}` }, set.role) : null,
        h("span", { class: `badge ${set.status}` }, set.status),
        h("label", {}, box, " compare")),
      h("div", {},
        names.length ? h("span", { class: "lead" }, `${names[0]} ${score(set.means[0])}${set.means[0] === null ? "" : half}`) : null,
        set.mark ? h("span", { class: `mark ${set.mark}` }, `${SIGNS[set.mark]} ${set.gain}`) : null, bar(set)),
      others.length ? h("div", { class: "note" }, others.join(" · ")) : null,
      h("div", { class: "values" }, Object.entries(set.values).map(([name, value]) =>
        h("span", {}, `${name} `, h("b", {}, short(value))))),
      set.stop || set.error ? h("div", { class: "note" }, [set.stop, set.error].filter(Boolean).join(" · ")) : null);
    const cells = data.items.map((item, at) => thumb(set, place, item, at));
    return [facts, h("div", { class: "thumbs" }, cells)];
  };
  const thumb = (set, place, item, at) => {
    const words = `${item.name}, ${set.name}, ${scoreWords(set, at)}`;
    const open = () => show(place, at);
    const properties = { type: "button", tabindex: -1, title: words, onclick: open, "data-item": at };
    if (set.images[at] !== null) return h("button", properties, image(set.images[at], words));
    const problem = set.problems[at];
    if (problem) return h("button", { ...properties, class: "problem", title: `${item.name}: ${problem}` }, `${item.name}: ${problem}`);
    return null;
  };
  const choose = (place, on) => {
    const without = state.chosen.filter((one) => one !== place);
    state.chosen = on ? [...without, place].slice(-MOST_COLUMNS) : without;
    changed();
  };
  const show = (place, item) => {
    if (!state.chosen.includes(place)) choose(place, true);
    state.worse = false;
    applyItems();
    focus($("items").querySelector(`[data-item="${item}"]`));
  };

  // Sorting and filtering
  const value = (set, key) => {
    if (key === "rank") return data.sets.indexOf(set);
    const [kind, ...rest] = key.split(":");
    const name = rest.join(":");
    if (kind === "score") return set.means[names.indexOf(name)];
    if (kind === "parameter") return set.values[name] ?? null;
    return set[name];
  };
  const holds = (set, word) => {
    const text = `${set.name} ${set.role} ${set.status} ${set.mark} ${set.stop} ${set.error} ` +
      Object.entries(set.values).map(([name, given]) => `${name}=${short(given)}`).join(" ");
    const lookup = (name) => (names.includes(name) ? set.means[names.indexOf(name)] : set.values[name] ?? set[name]);
    return P.holds(word, text, lookup);
  };
  const applySets = () => {
    const list = $("sets");
    const sets = [...list.children].map((element) => [element, data.sets[Number(element.dataset.set)]]);
    const words = state.filter.split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [element, set] of sets) {
      const fits = (!state.status || set.status === state.status) && words.every((word) => holds(set, word));
      element.hidden = !fits;
      shown += fits;
    }
    sets.sort(([, a], [, b]) => {
      const [one, other] = [value(a, state.sort), value(b, state.sort)];
      const order = P.compared(one, other);
      return (state.down && one !== null && other !== null ? -order : order) || data.sets.indexOf(a) - data.sets.indexOf(b);
    });
    list.append(...sets.map(([element]) => element));
    $("set-count").textContent = shown === sets.length ? `${shown} sets` : `${shown} of ${sets.length} sets`;
    tabStop(list);
  };

  // Items side by side
  const columns = () => state.chosen.map((place) => [place, data.sets[place]]);
  const reference = () => {
    const [kind, ...rest] = state.against.split(":");
    if (kind === "folder") return { folder: data.folders.findIndex((folder) => folder.name === rest.join(":")) };
    const at = data.sets.findIndex((set) => set.name === rest.join(":"));
    return { set: at >= 0 ? at : Math.max(baseline, 0) };
  };
  const against = (item) => {
    const wanted = reference();
    if ("folder" in wanted) return [data.items[item].images[wanted.folder] ?? null, data.folders[wanted.folder]?.name ?? ""];
    const set = data.sets[wanted.set];
    return set ? [set.large[item] ?? set.images[item], set.name] : [null, ""];
  };
  const gain = (set, item) => {
    const base = data.sets[baseline];
    if (!base || !names.length) return null;
    const [mine, theirs] = [set.scores[0][item], base.scores[0][item]];
    return mine === null || theirs === null ? null : (lower ? theirs - mine : mine - theirs);
  };
  const isWorse = (item) => columns().some(([place, set]) => place !== baseline && (gain(set, item) ?? 0) < 0);
  const fillItem = (item) => (element) => {
    const row = fillers.get(element);
    const level = h("span", { class: "note" });
    const zoom = new P.Zoom(({ scale }) => (level.textContent = scale === 1 ? "" : `${scale.toFixed(1)}×`));
    row.zoom = zoom;
    const button = (label, text, act) => h("button", { type: "button", "aria-label": `${label}, ${data.items[item].name}`, onclick: act }, text);
    const head = h("div", { class: "head" }, h("b", { title: data.items[item].name }, data.items[item].prompt || data.items[item].name),
      button("Zoom in", "+", () => zoom.by(1.5)), button("Zoom out", "−", () => zoom.by(1 / 1.5)),
      button("Whole image", "0", () => zoom.reset()), level);
    const cells = [...data.folders.map((folder, at) => given(item, folder, at, zoom)),
      ...columns().map(([place, set]) => made(item, place, set, zoom))];
    const region = h("div", { class: "cells", tabindex: 0, role: "region", "aria-label": `${data.items[item].name}, side by side` }, cells);
    return [head, region];
  };
  const stage = (zoom, pictureNumber, words) => {
    const shown = image(pictureNumber, words);
    shown.classList.add("picture");
    const element = h("div", { class: "stage" }, shown);
    zoom.add(element);
    return element;
  };
  const given = (item, folder, at, zoom) => {
    const { images, problems, name } = data.items[item];
    const words = `${folder.role}: ${folder.name}`;
    const body = images[at] === null || images[at] === undefined
      ? h("div", { class: "stage problem" }, problems[at] ?? "no picture is kept")
      : stage(zoom, images[at], `${name}, ${words}`);
    return h("figure", {}, body, h("figcaption", {}, words));
  };
  const made = (item, place, set, zoom) => {
    const caption = h("figcaption", {}, h("b", {}, set.name), set.role ? ` ${set.role}` : "", h("br"), scoreWords(set, item));
    const difference = place === baseline ? null : gain(set, item);
    if (difference !== null) {
      const mark = difference > 0 ? "better" : difference < 0 ? "worse" : "tied";
      const signed = lower ? -difference : difference;
      caption.append(" ", h("span", { class: `mark ${mark}` }, `${SIGNS[mark].slice(0, 1)} ${signed >= 0 ? "+" : ""}${signed.toFixed(4)}`));
    }
    const link = original(set, item);
    if (link) caption.append(" ", h("a", { href: link }, "original"));
    const problem = set.problems[item];
    const number = set.large[item] ?? set.images[item];
    if (number === null || number === undefined) {
      const words = problem ?? (set.status === "running" ? "not made yet" : "not made: the set was stopped before it");
      return h("figure", {}, h("div", { class: "stage problem" }, words), caption);
    }
    const words = `${data.items[item].name}, ${set.name}, ${scoreWords(set, item)}`;
    if (problem) caption.append(h("p", { class: "problem" }, problem));
    const [other, otherName] = against(item);
    const wanted = reference();
    if (state.mode === "side" || other === null || place === wanted.set) {
      const body = stage(zoom, number, words);
      overlaid(body, item, zoom);
      return h("figure", {}, body, caption);
    }
    const pair = P.pair(h("div", { class: "pair stage" }), image(other, `${data.items[item].name}, ${otherName}`), image(number, words), [otherName, set.name]);
    P.setMode(pair, state.mode);
    overlaid(pair, item, zoom);
    zoom.add(pair);
    return h("figure", {}, pair, caption);
  };
  const overlaid = (body, item, zoom) => {
    const at = data.folders.findIndex((folder) => folder.name === state.overlay);
    const number = data.items[item].images[at];
    if (number === null || number === undefined) return;
    const layer = h("div", { class: "overlay picture" });
    layer.style.maskImage = `url("${picture(number)}")`;
    body.append(layer);
    zoom.show(body);
  };
  const applyItems = () => {
    let shown = 0;
    for (const element of $("items").children) {
      element.hidden = state.worse && !isWorse(Number(element.dataset.item));
      shown += !element.hidden;
    }
    const all = data.items.length;
    $("item-count").textContent = shown === all ? `${all} items` : `${shown} of ${all} items: a set shown is worse there`;
    document.documentElement.style.setProperty("--columns", data.folders.length + state.chosen.length);
    refill($("items"));
    tabStop($("items"));
  };

  // Tools
  const select = (label, options, chosen, act) => {
    const element = h("select", { onchange: () => act(element.value) },
      options.map(([key, text]) => h("option", { value: key, selected: key === chosen }, text)));
    return h("label", {}, `${label} `, element);
  };
  const setTools = () => {
    const keys = [["rank", "rank"], ...names.map((name) => [`score:${name}`, name]),
      ...data.parameters.map((name) => [`parameter:${name}`, name]), ["fact:status", "status"], ["fact:items", "items"]];
    const statuses = [["", "all"], ...[...new Set(data.sets.map((set) => set.status))].map((one) => [one, one])];
    const filter = h("input", { type: "search", id: "filter", value: state.filter, placeholder: "amount>0.3 soft",
      oninput: () => { state.filter = filter.value; applySets(); keep(); } });
    const order = h("button", { type: "button", "aria-pressed": String(state.down), onclick: () => {
      state.down = !state.down;
      order.setAttribute("aria-pressed", String(state.down));
      applySets();
      keep();
    } }, "Reverse");
    $("set-tools").replaceChildren(
      select("Sort by", keys, state.sort, (key) => { state.sort = key; applySets(); keep(); }), order,
      select("Status", statuses, state.status, (key) => { state.status = key; applySets(); keep(); }),
      h("label", {}, "Filter ", filter));
  };
  const compareTools = () => {
    const chips = columns().map(([place, set]) => h("button", {
      type: "button", class: "chip", "aria-label": `Remove ${set.name}`, onclick: () => choose(place, false),
    }, `${set.name} ×`));
    const rest = data.sets.map((set, place) => [String(place), `${place + 1}. ${set.name}`])
      .filter(([place]) => !state.chosen.includes(Number(place))).slice(0, 200);
    const add = select("Add", [["", "a set …"], ...rest], "", (place) => place && choose(Number(place), true));
    const modes = h("fieldset", {}, h("legend", {}, "Show"), Object.entries(MODES).map(([mode, text]) => h("label", {},
      h("input", { type: "radio", name: "mode", value: mode, checked: state.mode === mode, onchange: () => setMode(mode) }), ` ${text}`)));
    const bases = [...columns().map(([, set]) => [`set:${set.name}`, set.name]),
      ...data.folders.map((folder) => [`folder:${folder.name}`, `${folder.role} ${folder.name}`])];
    const overlays = [["", "nothing"], ...data.folders.map((folder) => [folder.name, folder.name])];
    const worse = h("input", { type: "checkbox", checked: state.worse, onchange: () => { state.worse = worse.checked; applyItems(); keep(); } });
    $("compare-tools").replaceChildren(h("div", { class: "chips" }, chips, add), modes,
      select("against", bases, state.against || `set:${data.sets[baseline]?.name}`, (key) => { state.against = key; applyItems(); keep(); }),
      data.folders.length ? select("Mask", overlays, state.overlay, (key) => { state.overlay = key; applyItems(); keep(); }) : "",
      h("label", {}, worse, " only regressions"));
  };
  const setMode = (mode) => {
    state.mode = state.mode === mode ? "side" : mode;
    changed();
  };
  const changed = () => {
    const focused = document.activeElement;
    compareTools();
    applyItems();
    for (const element of $("sets").children) {
      const box = element.querySelector("input[type=checkbox]");
      if (box) box.checked = state.chosen.includes(Number(element.dataset.set));
    }
    if (!focused?.isConnected && focused?.name === "mode") $("compare-tools").querySelector(`[value=${state.mode}]`).focus();
    keep();
  };

  // Keys
  const tabStop = (list) => {
    const rows = [...list.children].filter((row) => !row.hidden);
    for (const row of list.children) row.tabIndex = -1;
    const current = rows.find((row) => row.classList.contains("current")) ?? rows[0];
    if (current) current.tabIndex = 0;
  };
  const focus = (row) => {
    if (!row) return;
    const list = row.parentElement;
    for (const one of list.querySelectorAll(".current")) one.classList.remove("current");
    row.classList.add("current");
    tabStop(list);
    filled(row, true); // a key that follows at once finds its pictures
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
  };
  const move = (row, by) => {
    const rows = [...row.parentElement.children].filter((one) => !one.hidden);
    focus(rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(row) + by))]);
  };
  const across = (row, by) => {
    const cells = [...row.querySelectorAll(".thumbs button")];
    if (!cells.length) {
      row.querySelector(".cells")?.scrollBy({ left: by * 200 });
      return;
    }
    const at = cells.indexOf(document.activeElement);
    cells[Math.min(cells.length - 1, Math.max(0, at + by))].focus();
  };
  const zoomed = (row) => (row ? fillers.get(row)?.zoom : null);
  const KEYS = [
    ["↑ ↓ or k j", "the row above, below"], ["← → or h l", "the picture before, after"],
    ["Enter or space", "open a picture's item; mark a set for comparison"], ["Esc", "back to side by side"],
    ["+ − 0", "zoom the row in, out, back"], ["s f d", "slider, flicker, difference"],
    ["m", "mask on, off"], ["r", "only regressions"], ["/", "filter"], ["?", "these keys"],
  ];
  let letters = true;
  const help = () => {
    let dialog = $("help");
    if (!dialog) {
      const box = h("input", { type: "checkbox", checked: true, onchange: () => (letters = box.checked) });
      dialog = h("dialog", { id: "help", "aria-labelledby": "help-title" }, h("h2", { id: "help-title" }, "Keys"),
        h("dl", {}, KEYS.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])),
        h("p", {}, h("label", {}, box, " Letters work as keys")),
        h("form", { method: "dialog" }, h("button", {}, "Close")));
      document.body.append(dialog);
    }
    dialog.showModal();
  };
  const acts = {
    "?": help,
    s: () => setMode("slider"), f: () => setMode("flicker"), d: () => setMode("difference"),
    r: () => { state.worse = !state.worse; changed(); },
    m: () => {
      const mask = data.folders.find((folder) => /mask/i.test(folder.name)) ?? data.folders.at(-1);
      state.overlay = state.overlay || !mask ? "" : mask.name;
      changed();
    },
    "/": () => $("filter").focus(),
  };
  const pressed = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=checkbox]):not([type=radio]):not([type=range]), select, textarea");
    if (typing) return;
    const { key } = event;
    const row = event.target.closest(".rows > li");
    const arrows = event.target.matches("input") ? [] : ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"];
    const vertical = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[key];
    const sideways = { ArrowRight: 1, ArrowLeft: -1, l: 1, h: -1 }[key];
    const single = key.length === 1;
    if (single && !letters && key !== "?") return;
    if (row && (single || arrows.includes(key)) && vertical) move(row, vertical);
    else if (row && (single || arrows.includes(key)) && sideways) across(row, sideways);
    else if (row?.dataset.set && event.target === row && (key === "Enter" || key === " ")) {
      const place = Number(row.dataset.set);
      choose(place, !state.chosen.includes(place));
    } else if (zoomed(row) && (key === "+" || key === "=")) zoomed(row).by(1.5);
    else if (zoomed(row) && (key === "-" || key === "−")) zoomed(row).by(1 / 1.5);
    else if (zoomed(row) && key === "0") zoomed(row).reset();
    else if (key === "Escape" && state.mode !== "side") setMode("side");
    else if (key in acts) acts[key]();
    else return;
    event.preventDefault();
  };

  // Charts: the set nearest to the pointer, or the next one by the arrow keys.
  const tip = h("div", { id: "tip", role: "status", hidden: true });
  const ring = () => {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("class", "ring");
    circle.setAttribute("r", "7");
    return circle;
  };
  const chart = (svg, points) => {
    const mark = ring();
    const ordered = [...points].sort((a, b) => a[0] - b[0]);
    let at = -1;
    const place = ([x, y, number]) => {
      const set = data.sets[number];
      mark.setAttribute("cx", x);
      mark.setAttribute("cy", y);
      svg.append(mark);
      const lines = [set.name + (set.role ? `, ${set.role}` : ""), `${names[0]} ${score(set.means[0])}${set.gain ? `, ${set.gain} ${SIGNS[set.mark]}` : ""}`,
        ...Object.entries(set.values).map(([name, given]) => `${name} ${short(given)}`), ...(set.stop ? [set.stop] : [])];
      tip.replaceChildren(...lines.map((line) => h("div", {}, line)));
      tip.hidden = false;
      const box = svg.getBoundingClientRect();
      const view = svg.viewBox.baseVal;
      const left = box.left + (x / view.width) * box.width;
      tip.style.left = `${Math.max(8, Math.min(left + 12, innerWidth - tip.offsetWidth - 8))}px`;
      tip.style.top = `${Math.max(8, Math.min(box.top + (y / view.height) * box.height + 12, innerHeight - tip.offsetHeight - 8))}px`;
    };
    const leave = () => {
      tip.hidden = true;
      mark.remove();
      at = -1;
    };
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const view = svg.viewBox.baseVal;
      const x = ((event.clientX - box.left) / box.width) * view.width;
      const y = ((event.clientY - box.top) / box.height) * view.height;
      let [best, distance] = [null, 40];
      for (const point of points) {
        const away = Math.hypot(point[0] - x, point[1] - y);
        if (away < distance) [best, distance] = [point, away];
      }
      if (best) place(best);
      else leave();
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") leave();
      if (!step) return;
      event.preventDefault();
      at = (at + step + ordered.length) % ordered.length;
      place(ordered[at]);
    });
  };

  // A running search's file is written again and again: look at the new one, unless somebody is busy here.
  const refresh = () => {
    const { every, written } = document.body.dataset;
    const seconds = Number(every);
    if (!seconds || Date.now() / 1000 - Number(written) > Math.max(600, 20 * seconds)) return;
    let on = true;
    const button = h("button", { type: "button", onclick: () => {
      on = !on;
      button.textContent = on ? "Pause refreshing" : "Go on refreshing";
    } }, "Pause refreshing");
    $("written").append(" ", button);
    setInterval(() => {
      const busy = document.querySelector("dialog[open]") || document.activeElement?.matches("input, select");
      if (on && !busy && !document.hidden) location.reload();
    }, seconds * 1000);
  };

  document.documentElement.classList.add("scripts");
  restore();
  setTools();
  compareTools();
  for (const element of $("sets").children) lazy(element, fillSet(Number(element.dataset.set)));
  for (const element of $("items").children) lazy(element, fillItem(Number(element.dataset.item)));
  applySets();
  applyItems();
  for (const [name, points] of Object.entries(data.charts)) {
    const svg = document.querySelector(`[data-chart="${CSS.escape(name)}"]`);
    if (svg) chart(svg, points);
  }
  document.body.append(tip);
  document.addEventListener("keydown", pressed);
  $("keys").addEventListener("click", help);
  P.enhancePairs(document);
  refresh();
})();
