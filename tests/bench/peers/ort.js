// onnxruntime-web: the same network from an ONNX file, one thread, the batch fixed when the session is made.

import * as wasm from "onnxruntime-web/wasm";
import * as webgpu from "onnxruntime-web/webgpu";

let ort = null;
let provider = "";

export const cannotTrain = "onnxruntime-web has been inference only since it dropped its training build";

export async function init(backend, base) {
  [ort, provider] = [backend === "webgpu" ? webgpu : wasm, backend];
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = base;
  ort.env.logLevel = "error";
  return `onnxruntime-web ${ort.env.versions.web} ${backend}`;
}

export async function infer(weights, batch) {
  const session = await ort.InferenceSession.create(weights.onnx, {
    executionProviders: [provider],
    freeDimensionOverrides: { N: batch },
    graphOptimizationLevel: "all",
  });
  return async (images) => {
    const input = new ort.Tensor("float32", images, [batch, 1, 28, 28]);
    const { probabilities } = await session.run({ input });
    return probabilities.getData();
  };
}
