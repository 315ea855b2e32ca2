// Runs an ONNX file with onnxruntime-node: node run_graph.mjs MODULES FILE < inputs > outputs.
// Both are JSON objects {name: {type, dims, data}}; data is the tensor's bytes in base64.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, file] = process.argv.slice(2);
const ort = createRequire(join(modules, "here.js"))("onnxruntime-node");
const arrays = { float32: Float32Array, int64: BigInt64Array };

const feeds = {};
for (const [name, { type, dims, data }] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const bytes = new Uint8Array(Buffer.from(data, "base64"));
  feeds[name] = new ort.Tensor(type, new arrays[type](bytes.buffer), dims);
}

const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1 });
const outputs = {};
for (const [name, { type, dims, data }] of Object.entries(await session.run(feeds))) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  outputs[name] = { type, dims, data: bytes.toString("base64") };
}
process.stdout.write(JSON.stringify(outputs));
