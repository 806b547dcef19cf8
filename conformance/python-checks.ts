import assert from "node:assert/strict";
import type { Checks } from "./suite.ts";

/** A line that a client in Python prints of a check. */
interface Line {
  readonly name: string;
  /** Why the check failed; null if it passed. */
  readonly problem: string | null;
}

/**
 * Counts the checks that a client in Python makes.
 *
 * @param lines of its output, to the end
 * @param count how many there must be
 */
export async function pythonChecks(
  lines: AsyncIterable<string> | Iterable<string>,
  checks: Checks,
  count: number,
): Promise<void> {
  let made = 0;
  for await (const text of lines) {
    const { name, problem } = JSON.parse(text) as Line;
    made++;
    await checks.check(name, async () => {
      if (problem !== null) throw new Error(problem);
    });
  }
  await checks.check("the client of Python has ended its work", async () => assert.equal(made, count));
}
