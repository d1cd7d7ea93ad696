// What all pages of the review page share: requests, messages, pictures that cannot be shown.
"use strict";
(() => {
  const P = window.Pixaris;
  const TRIES = 8;
  const root = document.body.dataset.root || "";
  let timer = 0;

  P.url = (path) => root + path;
  P.data = () => JSON.parse(document.getElementById("data").textContent);
  P.newId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  /** Tell something for a few seconds; "" takes it away. */
  P.say = (words, seconds = 6) => {
    clearTimeout(timer);
    document.getElementById("message").textContent = words;
    if (words) timer = setTimeout(() => P.say(""), seconds * 1000);
  };

  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  /**
   * Send something, and again where the network or the store is away for a while: what is sent has an id, so
   * that it counts once. Throws an error with the server's words where it is refused.
   */
  P.post = async (path, body = {}) => {
    for (let tried = 1; ; tried += 1) {
      try {
        const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
        if (answer.ok) return await answer.json();
        const words = (await answer.json().catch(() => ({}))).error || `the server said ${answer.status}`;
        if (answer.status < 500 || tried === TRIES) throw Object.assign(new Error(words), { told: true });
      } catch (error) {
        if (error.told || tried === TRIES) throw error.told ? error : new Error("the server cannot be reached; is it running?");
      }
      P.say("not sent yet, trying again …");
      await pause(Math.min(5, 0.3 * 2 ** tried));
    }
  };

  /** Letters are keys, but where somebody writes. */
  P.isTyping = (event) => event.target.matches("input:not([type=checkbox]):not([type=radio]):not([type=range]), select, textarea");

  addEventListener("error", (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement) || !image.getAttribute("src")) return;
    image.replaceWith(P.h("span", { class: "problem" }, `${image.alt || "the image"}: damaged or gone`));
  }, true);

  document.documentElement.classList.add("scripts");
})();
