/**
 * Calls around a circuit breaker that is closed. Its argument is `ours`, `acquire` and `ok` around nothing, or the path of
 * cockatiel, which runs a function that gives a resolved promise.
 */
import { pathToFileURL } from "node:url";
import { Breaker } from "../../src/core/resilience/breaker.ts";
import { repeat, takePart } from "./take-part.ts";

/** What is used of cockatiel. */
interface Cockatiel {
  readonly handleAll: object;
  readonly circuitBreaker: (
    handled: object,
    options: object,
  ) => { execute(fn: () => unknown): Promise<unknown> };
  readonly SamplingBreaker: new (options: object) => object;
}

const side = process.argv[2] ?? "";

if (side === "ours") {
  const breaker = new Breaker({ name: "bench" });
  takePart({
    work: (ms) => repeat(ms, 1_000, () => breaker.acquire().ok()),
    sample: () => JSON.stringify(breaker.state.kind === "closed"),
  });
} else {
  const { handleAll, circuitBreaker, SamplingBreaker } = (await import(
    pathToFileURL(side).href
  )) as unknown as Cockatiel; // As its README has it.
  const done = Promise.resolve(true);
  // The same window and the same rules as ours by default.
  const rules = new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 2 });
  const policy = circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: rules });
  takePart({
    work: async (ms) => {
      const end = performance.now() + ms;
      let calls = 0;
      do {
        for (let at = 0; at < 1_000; at++) await policy.execute(() => done);
        calls += 1_000;
      } while (performance.now() < end);
      return calls;
    },
    sample: async () => JSON.stringify(await policy.execute(() => done)),
  });
}
