// Before the first paint: the theme the visitor chose last time, so that a dark page never flashes light. The rest is ui/theme.py.
try {
  const chosen = localStorage.getItem("handlens.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {} // storage refused: the system's theme it is
