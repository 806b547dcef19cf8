import { runMutatedReplies } from "../test/support/mutated-replies.ts";
import { Checks, type Suite } from "./suite.ts";

/** How long the engine is tried, in minutes: `npm run conformance -- mutated-frames --minutes=30`. */
const minutes = Number(/^--minutes=(\d+)$/m.exec(process.argv.join("\n"))?.[1] ?? 1);

/**
 * Our client against a server whose frames are mutated. The seed of a failure is in its text.
 *
 * The engine `node` is left out: within a minute such frames end the process in the destructor of Node 26.10's session
 * (`Assertion failed: (current_nghttp2_memory_) == (0)`), which no program can catch.
 */
export const mutatedFrames: Suite = {
  name: "mutated-frames",
  slow: true,
  async run() {
    const checks = new Checks();
    await checks.check(`${minutes} minutes`, async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const until = performance.now() + minutes * 60_000;
      const { calls, unharmed } = await runMutatedReplies(seed, () => performance.now() < until);
      console.log(`  ${calls} calls, ${unharmed} ended well (seed ${seed})`);
      if (unharmed === 0 || unharmed === calls) throw new Error(`${unharmed} of ${calls} calls ended well`);
    });
    return checks.result;
  },
};
