// The blind comparison: one key, one vote; the next pairs are loaded while somebody looks at this one.
"use strict";
(() => {
  const P = window.Pixaris;
  const { h } = P;
  const $ = (id) => document.getElementById(id);
  const { url } = P.data();
  const AHEAD = 2;
  const AGAIN_MS = 5000; // a search that votes steer puts up more
  const queue = [];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let now = null;
  let waiting = 0;
  let asking = null;
  let ended = false;
  let counted = { mine: 0, votes: 0 };
  let flicker = 0;
  const zoom = new P.Zoom();

  const load = (source) => {
    const image = h("img", { src: source, alt: "", draggable: "false", class: "picture" });
    return image.decode().catch(() => null).then(() => image);
  };
  const prepare = async (pair) => {
    const [left, right] = await Promise.all([load(pair.left), load(pair.right)]);
    return { ...pair, leftImage: left, rightImage: right };
  };
  const refill = () => {
    asking ??= (async () => {
      try {
        while (queue.length < AHEAD && !ended) {
          const answer = await P.post(`${url}/next`);
          counted.votes = Math.max(counted.votes, answer.votes);
          counted.mine = Math.max(counted.mine, answer.mine);
          if (answer.pair) queue.push(await prepare(answer.pair));
          else {
            ended = true;
            setTimeout(() => ((ended = false), refill()), AGAIN_MS);
          }
          if (!now) next();
        }
      } catch (error) {
        P.say(error.message, 60);
      } finally {
        asking = null;
      }
      if (!now && !queue.length) show();
    })();
  };
  const next = () => {
    now = queue.shift() ?? null;
    show();
    refill();
  };
  const show = () => {
    stopFlicker();
    for (const [side, image] of [["left", now?.leftImage], ["right", now?.rightImage]]) {
      const words = side === "left" ? "the left one is better" : "the right one is better";
      $(side).replaceChildren(...(image ? [image] : []), h("span", { class: "unseen" }, words));
    }
    zoom.reset();
    for (const name of ["left", "right", "choose-left", "choose-right", "tie"]) $(name).disabled = !now;
    $("undo").disabled = !counted.mine;
    const done = now || !ended ? "" : " · no more pairs for now: you have seen all that can be told apart";
    $("progress").textContent = `${counted.mine} votes of yours, ${counted.votes} in all${done}`;
  };

  const vote = async (outcome) => {
    if (!now) return;
    const { lease } = now;
    const comment = $("comment").value;
    $("comment").value = "";
    counted = { mine: counted.mine + 1, votes: counted.votes + 1 };
    waiting += 1;
    const sent = send({ id: P.newId(), lease, outcome, comment });
    next();
    await sent;
  };
  let last = Promise.resolve();
  const send = (body) => {
    last = last.then(() => P.post(`${url}/vote`, body)).then(() => P.say("")).catch((error) => {
      counted = { mine: counted.mine - 1, votes: counted.votes - 1 };
      P.say(`a vote was not kept: ${error.message}`, 60);
    }).finally(() => (waiting -= 1));
    return last;
  };
  const undo = async () => {
    if (!counted.mine) return;
    try {
      await last;
      const answer = await P.post(`${url}/undo`);
      counted = { mine: answer.mine, votes: Math.max(0, counted.votes - 1) };
      if (answer.pair) {
        if (now) queue.unshift(now);
        now = await prepare(answer.pair);
      }
      show();
      P.say("taken back: vote again");
    } catch (error) {
      P.say(error.message);
    }
  };
  const stopFlicker = () => {
    flicker = clearInterval(flicker) || 0;
    delete $("duel").dataset.shown;
  };
  const startFlicker = () => {
    if (flicker || still.matches) return stopFlicker();
    const turn = () => ($("duel").dataset.shown = $("duel").dataset.shown === "left" ? "right" : "left");
    turn();
    flicker = setInterval(turn, 500);
  };
  const zoomBoth = () => (zoom.scale > 1 ? zoom.reset() : zoom.by(3));

  const KEYS = {
    ArrowLeft: () => vote("left"), 1: () => vote("left"), ArrowRight: () => vote("right"), 2: () => vote("right"),
    ArrowDown: () => vote("tie"), t: () => vote("tie"), 0: () => vote("tie"), u: undo, c: () => $("comment").focus(),
    " ": zoomBoth, "+": () => zoom.by(1.5), "=": () => zoom.by(1.5), "-": () => zoom.by(1 / 1.5), f: startFlicker,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (P.isTyping(event)) {
      if (event.key === "Enter" || event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === " " && event.target.matches("button, summary")) return;
    if (!(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  for (const side of ["left", "right"]) {
    zoom.add($(side));
    $(side).addEventListener("click", () => zoom.scale === 1 && vote(side));
    $(`choose-${side}`).addEventListener("click", () => vote(side));
  }
  $("tie").addEventListener("click", () => vote("tie"));
  $("undo").addEventListener("click", undo);
  $("zoom").addEventListener("click", zoomBoth);
  addEventListener("beforeunload", (event) => {
    if (waiting) event.preventDefault();
  });
  show();
  refill();
})();
