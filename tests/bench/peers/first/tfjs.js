// The smallest page of TensorFlow.js that reads our drawing: its WebAssembly backend with the kernels needed and no others.
import { env, fused, maxPool, ready, registerKernel, reshape, setBackend, softmax, tensor, tidy } from "@tensorflow/tfjs-core/dist/base";
import "@tensorflow/tfjs-core/dist/base_side_effects";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm/dist/base";
import { _fusedMatMulConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/_FusedMatMul";
import { fusedConv2DConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/FusedConv2D";
import { identityConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Identity";
import { maxPoolConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/MaxPool";
import { reshapeConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Reshape";
import { softmaxConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Softmax";
import { layers, show } from "./page.js";

for (const config of [_fusedMatMulConfig, fusedConv2DConfig, identityConfig, maxPoolConfig, reshapeConfig, softmaxConfig])
  registerKernel(config);

const weights = fetch("model.bin").then((response) => response.arrayBuffer());
env().set("PROD", true);
env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
setWasmPaths(new URL("./", location.href).href);
await setBackend("wasm");
await ready();

const data = await weights;
const array = ([offset, ...shape]) =>
  tensor(new Float32Array(data, offset, shape.reduce((product, side) => product * side, 1)), shape);
const probabilities = tidy(() => {
  let x = tensor(window.drawing, [1, 28, 28, 1]);
  for (const { kind, weight, bias, pad, relu } of layers()) {
    const activation = relu ? "relu" : "linear";
    if (kind === "pool") x = maxPool(x, 2, 2, "valid");
    else if (kind === "conv") x = fused.conv2d({ x, filter: array(weight), strides: 1, pad, bias: array(bias), activation });
    else x = fused.matMul({ a: reshape(x, [1, -1]), b: array(weight), bias: array(bias), activation });
  }
  return softmax(x);
});
show(await probabilities.data());
