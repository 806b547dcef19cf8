import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import { HpackDecoder } from "../../src/core/http2/hpack/decoder.ts";
import { HpackEncoder, mostBytesOf, writeLiterals } from "../../src/core/http2/hpack/encoder.ts";
import { pythonPackages } from "../python-packages.ts";
import { Checks, type Suite } from "../suite.ts";

const connections = 500;
const blocksEach = 200;

/** A list of header fields, as name and value. */
type Fields = readonly (readonly [name: string, value: string])[];

/** Python's `hpack` as the peer of our HPACK, in both directions: 100,000 random lists, with changes of the table. */
export const hpack: Suite = {
  name: "hpack",
  async run() {
    const env = await pythonPackages("hpack==4.0.0");
    const checks = new Checks();
    await checks.check("what we encode is what Python decodes", () => toPython(env));
    await checks.check("what Python encodes is what we decode", () => fromPython(env));
    return checks.result;
  },
};

async function toPython(env: NodeJS.ProcessEnv): Promise<void> {
  const lists: Fields[] = [];
  const tasks: object[] = [];
  for (let connection = 0; connection < connections; connection++) {
    const random = randomNumbers(connection);
    const encoder = new HpackEncoder();
    for (let number = 0; number < blocksEach; number++) {
      // More than one change before a block, above the size that is used, and 0.
      while (random(10) === 0) encoder.limit(random(8_192) * random(2));
      const [shared, own] = [randomFields(random), randomFields(random)];
      lists.push([...shared, ...own]);
      const block = encode(encoder, shared.flat(), own.flat()).toString("hex");
      tasks.push(number === 0 ? { connection, block } : { block });
    }
  }
  compare(lists, await askPython(tasks, env));
}

async function fromPython(env: NodeJS.ProcessEnv): Promise<void> {
  const lists: Fields[] = [];
  const tasks: object[] = [];
  for (let connection = 0; connection < connections; connection++) {
    const random = randomNumbers(connection);
    for (let number = 0; number < blocksEach; number++) {
      const fields = randomFields(random);
      lists.push(fields);
      tasks.push({
        fields: fields.map(([name, value]) => [name, value, random(8) === 0]),
        huffman: random(2) === 0,
        ...(number === 0 ? { connection } : random(10) === 0 ? { tableBytes: random(4_097) } : {}),
      });
    }
  }
  let decoder = new HpackDecoder(2 ** 24);
  const decoded = (await askPython(tasks, env)).map((hex, index) => {
    if (index % blocksEach === 0) decoder = new HpackDecoder(2 ** 24);
    const block = Buffer.from(String(hex), "hex");
    const fields: [string, string][] = [];
    decoder.decode(block, 0, block.length, (name, value) => fields.push([name, value]));
    return fields;
  });
  compare(lists, decoded);
}

function encode(encoder: HpackEncoder, shared: readonly string[], own: readonly string[]): Buffer {
  const into = Buffer.alloc(12 + mostBytesOf(shared) + mostBytesOf(own));
  const end = encoder.writeShared(shared, into, encoder.writeResizes(into, 0));
  return into.subarray(0, writeLiterals(own, into, end));
}

function compare(expected: readonly Fields[], found: readonly unknown[]): void {
  if (found.length !== expected.length) throw new Error(`${found.length} lists of ${expected.length}`);
  for (const [index, fields] of expected.entries()) {
    if (isDeepStrictEqual(found[index], fields)) continue;
    throw new Error(`list ${index}: ${JSON.stringify(fields)} became ${JSON.stringify(found[index])}`);
  }
}

/** What Python writes for each of the lines. */
async function askPython(tasks: readonly object[], env: NodeJS.ProcessEnv): Promise<unknown[]> {
  const script = join(import.meta.dirname, "hpack_peer.py");
  const python = spawn("python3", [script], { env, stdio: ["pipe", "pipe", "inherit"] });
  python.stdin.on("error", () => {}); // It has ended: what it wrote until then is compared.
  python.stdin.end(tasks.map((task) => `${JSON.stringify(task)}\n`).join(""));
  const lines = (await text(python.stdout)).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as unknown);
}

const names = [
  ":path",
  ":status",
  ":authority",
  "content-type",
  "cookie",
  "grpc-status",
  "te",
  "x-trace",
  "x-a",
];

/** Few names and values, so that they come again; some values have any bytes, some are longer than the table. */
function randomFields(random: (below: number) => number): Fields {
  return Array.from({ length: random(9) }, () => {
    const name = names[random(names.length)] ?? `x-${random(2_000)}`;
    const length = random(50) === 0 ? random(6_000) : random(30);
    const any = random(4) === 0;
    const seed = random(40);
    const codes = Array.from({ length }, (_, at) => (any ? random(256) : 97 + ((seed + at) % 26)));
    return [name, String.fromCharCode(...codes)];
  });
}

/** Numbers from 0 to below a limit, the same for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed + 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
