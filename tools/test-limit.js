/**
 * Preloaded into every process of tests as `test-limit.js?ms=…`: ends one that still runs after so many
 * milliseconds, and names what keeps it alive.
 *
 * `--test-timeout` fails a test that hangs, but the runner waits for ever for a process whose event loop never empties.
 */
const limitMs = Number(new URL(import.meta.url).searchParams.get("ms"));

setTimeout(() => {
  const alive = process.getActiveResourcesInfo().join(", ");
  const files = process.env.TEST_FILES?.replaceAll("\n", ", ");
  console.error(`${files} still runs after ${limitMs} ms; alive are: ${alive}`);
  process.exit(1);
}, limitMs).unref();
