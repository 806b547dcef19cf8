/**
 * Preloaded into every test process as `test-limit.js?ms=…`: ends a test file that still runs after so many
 * milliseconds, and names what keeps it alive.
 *
 * `--test-timeout` fails a test that hangs, but the runner waits for ever for a process whose event loop never empties.
 */
const limitMs = Number(new URL(import.meta.url).searchParams.get("ms"));

// Set in the processes that run a test file, not in the runner itself.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  setTimeout(() => {
    const alive = process.getActiveResourcesInfo().join(", ");
    console.error(`${process.argv[1]} still runs after ${limitMs} ms; alive are: ${alive}`);
    process.exit(1);
  }, limitMs).unref();
}
