// The smallest page of onnxruntime-web that reads our drawing: its WebAssembly build alone, the loader bundled.
import { env, InferenceSession, Tensor } from "onnxruntime-web/wasm";
import { show } from "./page.js";

env.wasm.numThreads = 1;
env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", location.href).href };
env.logLevel = "error";
const session = await InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
const { probabilities } = await session.run({ input: new Tensor("float32", window.drawing, [1, 1, 28, 28]) });
show(await probabilities.getData());
