// Keeps what a visitor corrects and teaches: in IndexedDB, on this device alone. Where the browser refuses that (a private
// window, say), in memory, for as long as the page is open. Every call gives a promise, and none throws: an exception of
// JavaScript would stop MicroPython.
(() => {
  "use strict";
  const memory = { digits: new Map(), taught: new Map() };
  let next = 1;
  let database; // a promise of the database, or of null

  function open() {
    database ||= new Promise((done) => {
      try {
        const asked = indexedDB.open("handlens", 1);
        asked.onupgradeneeded = () => {
          asked.result.createObjectStore("digits", { autoIncrement: true });
          asked.result.createObjectStore("taught");
        };
        asked.onsuccess = () => {
          asked.result.onversionchange = () => asked.result.close();
          done(asked.result);
        };
        asked.onerror = asked.onblocked = () => done(null);
      } catch {
        done(null);
      }
    });
    return database;
  }

  // One request in a transaction of its own; `otherwise` does the same in memory.
  async function ask(table, request, otherwise) {
    const base = await open();
    if (!base) return otherwise(memory[table]);
    return new Promise((done) => {
      try {
        const work = base.transaction(table, "readwrite");
        const asked = request(work.objectStore(table));
        work.oncomplete = () => done(asked.result);
        work.onabort = work.onerror = () => done(otherwise(memory[table])); // the disk is full, say
      } catch {
        done(otherwise(memory[table]));
      }
    });
  }

  function added(map, value) {
    map.set(next, value);
    next += 1;
    return next - 1;
  }

  const put = (digit) => ask("digits", (table) => table.add(digit), (map) => added(map, digit));

  window.store = {
    lasting: async () => (await open()) !== null,
    // flat: the strokes as the pad packs them, or null; values: 784 numbers where it was never ink, or null
    add: (label, flat, values, extent, read, model) =>
      put({ label, flat, values, extent, read, model, when: new Date().toISOString() }),
    put,
    remove: (key) => ask("digits", (table) => table.delete(key), (map) => map.delete(key)),
    all: () => ask("digits", (table) => table.getAll(), (map) => [...map.values()]),
    clear: () => ask("digits", (table) => table.clear(), (map) => map.clear()),
    keepTaught: (model, bytes) => ask("taught", (table) => table.put(bytes, model), (map) => map.set(model, bytes)),
    taught: async (model) =>
      (await ask("taught", (table) => table.get(model), (map) => map.get(model))) || null,
    forgetTaught: (model) => ask("taught", (table) => table.delete(model), (map) => map.delete(model)),
    forgetAllTaught: () => ask("taught", (table) => table.clear(), (map) => map.clear()),
    // give the visitor a file
    save: (name, text) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    },
  };
})();
