// An iteration: like, dislike, comment, by keyboard or finger; what others say comes in while the page is open.
"use strict";
(() => {
  const P = window.Pixaris;
  const { h } = P;
  const $ = (id) => document.getElementById(id);
  const data = P.data();
  const list = $("images");
  const figures = [...list.children];
  const own = new Map(Object.entries(data.own).map(([place, said]) => [Number(place), said]));
  let totals = data.totals;
  let waiting = 0;

  const place = (figure) => Number(figure.dataset.place);
  const of = (at) => totals.images[at] ?? { likes: 0, dislikes: 0, comments: [] };
  const show = (figure) => {
    const { likes, dislikes, comments } = of(place(figure));
    figure.querySelector(".likes").textContent = likes;
    figure.querySelector(".dislikes").textContent = dislikes;
    const lines = comments.map(([rater, words]) => h("li", {}, h("b", {}, rater || "somebody"), `: ${words}`));
    figure.querySelector(".comments").replaceChildren(...lines);
    const said = own.get(place(figure));
    for (const button of figure.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === said?.verdict));
    }
    const comment = figure.querySelector(".comment");
    if (document.activeElement !== comment) comment.value = said?.comment ?? "";
  };
  const showAll = () => {
    figures.forEach(show);
    const said = [...own.values()].filter(({ verdict, comment }) => verdict !== "neither" || comment).length;
    $("count").textContent = `you have said something of ${said} of ${figures.length} images`;
  };

  const say = async (figure, verdict, comment) => {
    const said = own.get(place(figure)) ?? { verdict: "neither", comment: "" };
    const next = { verdict: verdict ?? said.verdict, comment: comment ?? said.comment };
    own.set(place(figure), next);
    showAll();
    waiting += 1;
    try {
      await P.post(`${data.url}/say`, { id: P.newId(), image: place(figure), ...next });
      P.say("");
    } catch (error) {
      own.set(place(figure), said);
      showAll();
      P.say(error.message);
    } finally {
      waiting -= 1;
    }
  };

  const current = () => list.querySelector(".current") ?? list.firstElementChild;
  const focus = (figure) => {
    if (!figure) return;
    for (const one of list.querySelectorAll(".current")) one.classList.remove("current");
    figure.classList.add("current");
    figure.focus({ preventScroll: true });
    figure.scrollIntoView({ block: "nearest" });
  };
  const move = (by) => focus(by > 0 ? current()?.nextElementSibling : current()?.previousElementSibling);

  const KEYS = {
    l: "like", 1: "like", d: "dislike", 2: "dislike", 0: "neither",
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches(".comment")) {
      if (event.key === "Enter" || event.key === "Escape") focus(event.target.closest("figure"));
      return;
    }
    if (P.isTyping(event)) return;
    if (event.key in KEYS) {
      const figure = current();
      say(figure, KEYS[event.key]);
      focus(figure.nextElementSibling ?? figure);
    } else if (event.key === "c") current()?.querySelector(".comment").focus();
    else if (event.key === "z") open(current()?.querySelector("a").href);
    else if (["ArrowRight", "j"].includes(event.key)) move(1);
    else if (["ArrowLeft", "k"].includes(event.key)) move(-1);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const { verdict } = event.target.dataset;
    if (!verdict) return;
    const figure = event.target.closest("figure");
    say(figure, own.get(place(figure))?.verdict === verdict ? "neither" : verdict);
  });
  list.addEventListener("focusin", (event) => {
    const figure = event.target.closest("figure");
    if (figure && !figure.classList.contains("current")) {
      for (const one of list.querySelectorAll(".current")) one.classList.remove("current");
      figure.classList.add("current");
    }
  });
  list.addEventListener("change", (event) => {
    if (event.target.matches(".comment")) say(event.target.closest("figure"), null, event.target.value);
  });
  $("sort").addEventListener("change", () => {
    const key = $("sort").value;
    const worth = (figure) => (key === "likes" || key === "dislikes" ? -of(place(figure))[key] : 0);
    const name = (figure) => (key === "name" ? JSON.parse(figure.dataset.facts).name : "");
    const sorted = [...figures].sort((a, b) => worth(a) - worth(b) || name(a).localeCompare(name(b), undefined, { numeric: true }) || place(a) - place(b));
    list.append(...sorted);
  });
  addEventListener("beforeunload", (event) => {
    if (waiting) event.preventDefault();
  });
  const live = new EventSource(`${data.url}/live`);
  live.onmessage = (event) => {
    totals = JSON.parse(event.data);
    showAll();
  };
  showAll();
})();
