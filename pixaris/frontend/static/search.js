// A search's sets: sorting, filtering, marking, pictures that are loaded when they come near, news while it runs.
"use strict";
(() => {
  const P = window.Pixaris;
  const { h } = P;
  const $ = (id) => document.getElementById(id);
  const state = JSON.parse($("state").dataset.state);
  const NEWS_MS = 3000;
  const MOST_THUMBS = 16;
  const marked = new Set();
  let sort = "place";
  let down = false;

  const facts = (row) => (row.facts ??= JSON.parse(row.dataset.facts));
  const value = (row, key) => {
    const [kind, ...rest] = key.split(":");
    const name = rest.join(":");
    if (kind === "score") return facts(row).scores[name] ?? null;
    if (kind === "value") return facts(row).values[name] ?? null;
    return facts(row)[key] ?? null;
  };
  const lookup = (row) => (name) => facts(row).scores[name] ?? facts(row).values[name] ?? facts(row)[name];
  const text = (row) => `${facts(row).name} ${facts(row).status} ` +
    Object.entries(facts(row).values).map(([name, given]) => `${name}=${given}`).join(" ");

  const apply = () => {
    const rows = [...$("sets").children];
    const words = $("filter").value.split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => P.holds(word, text(row), lookup(row)));
      shown += !row.hidden;
    }
    rows.sort((a, b) => {
      const [one, other] = [value(a, sort), value(b, sort)];
      const order = P.compared(one, other);
      return (down && one !== null && other !== null ? -order : order) || facts(a).place - facts(b).place;
    });
    $("sets").append(...rows);
    $("count").textContent = shown === rows.length ? `${shown} sets` : `${shown} of ${rows.length} sets`;
    for (const head of document.querySelectorAll(".sets thead th")) {
      const key = head.querySelector("button")?.dataset.sort;
      if (key) head.setAttribute("aria-sort", key !== sort ? "none" : down ? "descending" : "ascending");
    }
    for (const box of $("sets").querySelectorAll("input")) box.checked = marked.has(box.value);
    $("compare").disabled = marked.size < 2 || marked.size > 8;
    $("ask").disabled = !marked.size || marked.size > 24;
    $("compare").textContent = marked.size ? `Compare ${marked.size}` : "Compare";
  };

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) {
        target.replaceChildren();
        continue;
      }
      const { run } = target.parentElement.dataset;
      const items = JSON.parse(target.dataset.items).slice(0, MOST_THUMBS);
      target.replaceChildren(...items.map((index) =>
        h("a", { href: P.url(`/run/${run}#item-${index}`), tabindex: -1 },
          h("img", { src: P.url(`/image/${run}/${index}/128`), alt: `item ${index + 1}`, decoding: "async" }))));
    }
  }, { rootMargin: "200px" });
  const watch = () => {
    for (const strip of $("sets").querySelectorAll(".strip")) near.observe(strip);
  };

  const news = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(P.url(`/search/${state.id}/rows?version=${encodeURIComponent(state.version)}`));
        if (answer.ok) {
          const fresh = await answer.json();
          if (fresh.rows !== null) update(fresh);
          if (!fresh.running && state.running) location.reload();
        }
      } catch {
        P.say("the server cannot be reached; is it running?");
      }
    }
    setTimeout(news, NEWS_MS);
  };
  const update = (fresh) => {
    state.version = fresh.version;
    if (document.querySelector("dialog[open]")) return;
    const parsed = new DOMParser().parseFromString(`<table><tbody>${fresh.rows}</tbody></table>`, "text/html");
    const rows = [...parsed.querySelectorAll("tr")];
    const focused = document.activeElement?.closest?.("tr")?.dataset.run;
    const known = new Map([...$("sets").children].map((row) => [row.dataset.run, row]));
    for (const row of rows) {
      const old = known.get(row.dataset.run);
      if (old?.dataset.facts === row.dataset.facts) continue;
      if (old && old.dataset.run !== focused) old.replaceWith(row);
      else if (!old) $("sets").append(row);
    }
    watch();
    apply();
  };

  $("sets").addEventListener("change", (event) => {
    if (event.target.checked) marked.add(event.target.value);
    else marked.delete(event.target.value);
    apply();
  });
  document.querySelector(".sets thead").addEventListener("click", (event) => {
    const key = event.target.dataset?.sort;
    if (!key) return;
    down = sort === key ? !down : key.startsWith("score:");
    sort = key;
    apply();
  });
  $("filter").addEventListener("input", apply);
  $("compare").addEventListener("click", () => {
    location.href = P.url(`/compare?${[...marked].map((run) => `run=${run}`).join("&")}`);
  });
  $("ask").addEventListener("click", () => $("asking").showModal());
  $("asking").addEventListener("close", async () => {
    if ($("asking").returnValue !== "make") return;
    try {
      location.href = (await P.post(P.url("/feedback"), { name: $("iteration").value, runs: [...marked] })).url;
    } catch (error) {
      P.say(error.message);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !P.isTyping(event)) {
      $("filter").focus();
      event.preventDefault();
    }
  });
  const verdict = async () => {
    const answer = await fetch(P.url(`/search/${state.id}/verdict`));
    $("verdict").textContent = answer.ok ? (await answer.json()).sentence : "";
  };
  watch();
  apply();
  if ($("verdict")) verdict();
  if (state.running) setTimeout(news, NEWS_MS);
})();
