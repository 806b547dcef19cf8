/** Bun's `fetch` over HTTP/3, at the port that is the argument; prints a line of JSON for each check. */
import assert from "node:assert/strict";
import { check } from "./said-check.ts";

const at = `https://127.0.0.1:${process.argv[2]}/test/v1`;
/** What Bun's `fetch` has beside the standard. */
const overHttp3 = { protocol: "http3", tls: { rejectUnauthorized: false } };

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(at + path, { ...init, ...overHttp3 });
  assert.equal(response.status, 200);
  return response;
}

await check("200 kB there and back", async () => {
  const text = "x".repeat(200_000);
  const headers = { "content-type": "application/json" };
  const response = await ask("/echo", { method: "POST", headers, body: JSON.stringify({ text }) });
  assert.equal(((await response.json()) as { readonly text: string }).text.length, text.length);
});

await check("a stream of events comes as it is sent", async () => {
  const { body } = await ask("/repeat/x?count=4&intervalMs=200", {
    headers: { accept: "text/event-stream" },
  });
  const times: number[] = [];
  for await (const _ of body ?? []) times.push(performance.now());
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  assert.ok(last - first > 300, `all came within ${last - first} ms`);
});

await check("100 requests at a time", async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(`/echo/n${n}`)));
  const texts = await Promise.all(
    answers.map(async (answer) => ((await answer.json()) as { text: string }).text),
  );
  assert.deepEqual(
    texts,
    texts.map((_, n) => `n${n}`),
  );
});
process.exit(0);
