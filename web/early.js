// Before the first paint: the theme the visitor chose last time, so that a dark page never flashes light.
// And the few calls that a browser may refuse with an exception, made safe: thrown through MicroPython, it would stop it.
(() => {
  "use strict";
  window.early = {
    kept(name) {
      try { return localStorage.getItem(`handlens.${name}`) || ""; } catch { return ""; } // storage refused
    },
    keep(name, value) {
      try { localStorage.setItem(`handlens.${name}`, value); } catch {} // the choice then lasts as long as the page
    },
    address(path, newEntry) {
      try { history[newEntry ? "pushState" : "replaceState"](null, "", path); } catch {} // some allow 100 in 30 s
    },
  };
  const chosen = window.early.kept("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
