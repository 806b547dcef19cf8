import assert from "node:assert/strict";
import { test } from "node:test";
import { createFileRegistry } from "@bufbuild/protobuf";
import { keepLoaded, type SchemaUpstream } from "../../../src/core/schema/schema-loader.ts";
import type { Schema } from "../../../src/core/schema/schema.ts";

const schema: Schema = { services: [], registry: createFileRegistry() };

/** An upstream whose connection the test breaks and mends. */
class Line implements SchemaUpstream {
  state = "ready";
  #mended: () => void = () => {};

  ready(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#mended = () => {
        this.state = "ready";
        resolve();
      };
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      this.asked();
    });
  }

  asked: () => void = () => {};
  mend(): void {
    this.#mended();
  }
}

/** Runs until `enough` says so, with what happened. */
async function watch(
  outcomes: readonly (Schema | Error)[],
  apply: (schema: Schema) => void,
  upstream = new Line(),
  onLoaded: (count: number) => void = () => {},
) {
  const events: string[] = [];
  const pauses: number[] = [];
  const ended = new AbortController();
  let loads = 0;
  await keepLoaded({
    source: {
      name: "test",
      async load() {
        const outcome = outcomes[loads++] ?? schema;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    },
    upstream,
    apply(loaded) {
      apply(loaded);
      events.push("applied");
      onLoaded(events.filter((event) => event === "applied").length);
      if (loads >= outcomes.length) ended.abort();
    },
    onFailure(reason, retryMs) {
      events.push((reason as Error).message);
      pauses.push(retryMs);
    },
    signal: ended.signal,
    random: () => 0.5,
  });
  return { events, pauses };
}

test("it tries until it works, with pauses that grow", async () => {
  const { events, pauses } = await watch([new Error("one"), new Error("two"), schema], () => {});
  assert.deepEqual(events, ["one", "two", "applied"]);
  assert.deepEqual(pauses, [500, 800]);
});

test("a schema that cannot be put to use counts as not loaded", async () => {
  let first = true;
  const { events } = await watch([schema, schema], () => {
    if (first) {
      first = false;
      throw new Error("clash");
    }
  });
  assert.deepEqual(events, ["clash", "applied"]);
});

test("it loads again when the upstream was gone and is back, and not before", async () => {
  const line = new Line();
  line.asked = () => line.mend();
  const { events } = await watch(
    [schema, schema, schema],
    () => {},
    line,
    () => {
      line.state = "failing";
    },
  );
  assert.deepEqual(events, ["applied", "applied", "applied"]);
});

test("it ends with its signal, wherever it waits", async () => {
  for (const state of ["ready", "failing"]) {
    const line = new Line();
    const ended = new AbortController();
    await keepLoaded({
      source: { name: "test", load: async () => schema },
      upstream: line,
      apply() {
        line.state = state;
        setImmediate(() => ended.abort());
      },
      onFailure: (reason) => assert.fail(String(reason)),
      signal: ended.signal,
    });
  }
});
