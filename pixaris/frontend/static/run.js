// A run: stop it, where its search is running.
"use strict";
(() => {
  const P = window.Pixaris;
  const button = document.getElementById("reject");
  button?.addEventListener("click", async () => {
    button.disabled = true;
    try {
      P.say((await P.post(P.url(`/run/${button.dataset.run}/reject`))).said);
    } catch (error) {
      button.disabled = false;
      P.say(error.message);
    }
  });
})();
