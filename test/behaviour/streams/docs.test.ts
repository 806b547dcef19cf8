import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/streams.md"), "utf8");
const examples = [...page.matchAll(/<!-- run -->\n```sh\n(.*?)\n```\n\n```text\n(.*?)```/gs)];

test("docs/streams.md has examples", () => assert.equal(examples.length, 4));

for (const [, command = "", expected = ""] of examples) {
  test(`docs/streams.md: ${command}`, { timeout: 30_000 }, async () => {
    await using gateway = await startGateway({}, [new LibraryService(seedLibrary())]);
    const local = command
      .replace("localhost:8080", `127.0.0.1:${gateway.port}`)
      .replace("curl ", "curl -sS --max-time 20 ");
    // A process group of its own, since a watch ends by nobody but its reader.
    const shell = spawn("sh", ["-c", local], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
    const closed = once(shell, "close");
    let printed = "";
    try {
      for await (const chunk of shell.stdout.setEncoding("utf8")) {
        printed += String(chunk);
        if (patternOf(expected).test(printed)) break;
      }
    } finally {
      try {
        if (shell.pid !== undefined) process.kill(-shell.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await closed;
    }
    assert.match(printed, patternOf(expected));
  });
}

/** The text from its first byte on; `…` stands for anything. */
function patternOf(text: string): RegExp {
  const parts = text.trimEnd().split("…");
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[^]*?")}`);
}
