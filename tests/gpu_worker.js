// The worker of the tests' own page: Pyodide and the wheel from the built site, and a way to run Python in it. What goes
// wrong without anyone catching it is kept, for the test to find.
globalThis.uncaught = [];
globalThis.addEventListener("error", (event) => globalThis.uncaught.push(`error: ${event.message}`));
globalThis.addEventListener("unhandledrejection", (event) => globalThis.uncaught.push(`rejection: ${event.reason}`));

const started = (async () => {
  const { loadPyodide } = await import(new URL("vendor/pyodide/pyodide.mjs", SITE).href);
  const pyodide = await loadPyodide({ indexURL: new URL("vendor/pyodide/", SITE).href });
  await pyodide.loadPackage("handlens", { messageCallback: () => {} });
  for (const [name, text] of Object.entries(FILES)) pyodide.FS.writeFile(`/home/pyodide/${name}`, text);
  return pyodide;
})();

// {id, call, given}: a coroutine function of inside.py (a module of the test's) and its arguments as JSON; answers with JSON.
globalThis.onmessage = async ({ data: { id, call, given } }) => {
  try {
    const pyodide = await started;
    if (call === "faults") {
      faults.undo();
      for (const [name, options] of JSON.parse(given)) faults.inject(name, options);
      return postMessage({ id, answer: "null" });
    }
    const inside = pyodide.pyimport("inside");
    const answer = await inside.answer(call, given);
    postMessage({ id, answer });
  } catch (error) {
    postMessage({ id, error: String(error.message ?? error) });
  }
};
