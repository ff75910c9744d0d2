// Stands in front of vendor/pyodide/pyodide.mjs in the worker: the same loadPyodide, with every fetched byte counted.
// Pyodide reports no progress of its own, and fetching its files twice to learn their size would cost the visitor 10 MB.
// The channel's name comes with this module's address, so that two open tabs do not hear each other.
import * as pyodide from "./vendor/pyodide/pyodide.mjs";

const channel = new BroadcastChannel(new URL(import.meta.url).searchParams.get("channel") || "handlens");
const plainFetch = globalThis.fetch;
const REPORT_EVERY = 64 * 1024; // bytes

const nameOf = (resource) => new URL(resource.url || resource, globalThis.location.href).pathname.split("/").pop();

globalThis.fetch = async (resource, options) => {
  const file = nameOf(resource);
  let response;
  try {
    response = await plainFetch(resource, options);
  } catch (error) {
    channel.postMessage({ kind: "failed", file, reason: String(error.message || error) });
    throw error;
  }
  if (!response.ok) channel.postMessage({ kind: "failed", file, reason: `the server answered ${response.status}` });
  if (!response.ok || !response.body) return response;
  let waiting = 0;
  const report = (bytes) => { if (bytes) channel.postMessage({ kind: "bytes", file, bytes }); };
  const counted = response.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      waiting += chunk.byteLength;
      if (waiting >= REPORT_EVERY) { report(waiting); waiting = 0; }
      controller.enqueue(chunk);
    },
    flush() { report(waiting); },
  }));
  const { status, statusText, headers } = response;
  return new Response(counted, { status, statusText, headers }); // the headers keep application/wasm, so it still streams
};

export async function loadPyodide(options) {
  try {
    return await pyodide.loadPyodide({ ...options, indexURL: new URL("./vendor/pyodide/", import.meta.url).href });
  } catch (error) {
    channel.postMessage({ kind: "failed", file: "pyodide", reason: String(error.message || error) });
    throw error;
  }
}
export const version = pyodide.version;
