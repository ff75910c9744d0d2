// TensorFlow.js by its plain ops, fused where it has fused ones: what its own layers call, without their bookkeeping.

import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-webgl";
import "@tensorflow/tfjs-backend-webgpu";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

export async function init(backend, base) {
  setWasmPaths(base);
  tf.enableProdMode();
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // one thread, whatever the page may do
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs cannot start its ${backend} backend here`);
  await tf.ready();
  return `tfjs ${tf.version_core} ${tf.getBackend()}`;
}

// Its kernels are HWIO and its images NHWC; a Dense after a Flatten then sees the channels last, too.
function converted(weights) {
  const tensor = (name) => tf.tensor(weights[name].data, weights[name].shape);
  const kernel = (name) => tf.transpose(tensor(name), [2, 3, 1, 0]);
  const flat = () => tf.transpose(tf.reshape(tensor("dense1.weight"), [10, 64, 5, 5]), [2, 3, 1, 0]);
  return tf.tidy(() => ({
    conv1: kernel("conv1.weight"),
    bias1: tensor("conv1.bias"),
    conv2: kernel("conv2.weight"),
    bias2: tensor("conv2.bias"),
    dense: tf.reshape(flat(), [1600, 10]),
    bias3: tensor("dense1.bias"),
  }));
}

function scores(p, x) {
  const convolved = (x, filter, bias) =>
    tf.fused.conv2d({ x, filter, strides: 1, pad: "valid", bias, activation: "relu" });
  const pooled = (x) => tf.maxPool(x, 2, 2, "valid");
  const maps = pooled(convolved(pooled(convolved(x, p.conv1, p.bias1)), p.conv2, p.bias2));
  return tf.fused.matMul({ a: tf.reshape(maps, [-1, 1600]), b: p.dense, bias: p.bias3 });
}

const pictures = (images) => tf.tensor4d(images, [images.length / 784, 28, 28, 1]);

export async function infer(weights) {
  const p = converted(weights);
  return async (images) => {
    const result = tf.tidy(() => tf.softmax(scores(p, pictures(images))));
    const probabilities = await result.data();
    result.dispose();
    return probabilities;
  };
}

export async function trainStep(weights) {
  const p = {};
  for (const [name, tensor] of Object.entries(converted(weights))) p[name] = tf.variable(tensor);
  const adam = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
  return async (images, labels) => {
    const cost = tf.tidy(() => {
      const [x, y] = [pictures(images), tf.cast(tf.oneHot(tf.tensor1d(labels, "int32"), 10), "float32")];
      return adam.minimize(() => tf.losses.softmaxCrossEntropy(y, scores(p, x)), true, Object.values(p));
    });
    const loss = (await cost.data())[0];
    cost.dispose();
    return loss;
  };
}
