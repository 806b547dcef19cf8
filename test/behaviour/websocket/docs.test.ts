import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { webSocketDefaults } from "../../../src/gateway/doors/options/websocket-options.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { within } from "./socket-client.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/websocket.md"), "utf8");
const examples = [...page.matchAll(/<!-- run -->\n```js\n(.*?)```\n\n```text\n(.*?)```/gs)];

test("docs/websocket.md has examples", () => assert.equal(examples.length, 4));

for (const [index, [, code = "", expected = ""]] of examples.entries()) {
  test(`example ${index + 1} of docs/websocket.md prints what the page says`, async (t) => {
    await using gateway = await startGateway({}, [new LibraryService(seedLibrary())]);
    const lines: string[] = [];
    const all = Promise.withResolvers<void>();
    const wanted = expected.trimEnd().split("\n");
    t.mock.method(console, "log", (...words: unknown[]) => {
      if (lines.push(words.join(" ")) === wanted.length) all.resolve();
    });
    const local = code.replace("127.0.0.1:8080", `127.0.0.1:${gateway.port}`);
    await import(`data:text/javascript,${encodeURIComponent(local)}`);
    await within(all.promise, "the last line");
    assert.deepEqual(lines, wanted);
  });
}

test("docs/websocket.md lists every option with its default", () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| `?([^|`]+?)`? \|/gm)].map(
    ([, name, value]) => `${name} ${value}`,
  );
  const written = Object.entries(webSocketDefaults).map(([name, value]) => `${name} ${defaultText(value)}`);
  assert.deepEqual(rows.toSorted(), written.toSorted());
});

function defaultText(value: unknown): string {
  if (Array.isArray(value)) return "none";
  if (value === 1024 * 1024) return "1 MiB";
  return typeof value === "number" ? value.toLocaleString("en") : String(value);
}
