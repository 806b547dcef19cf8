/**
 * What `tools/test.js` gives Node's test runner: loads the test files named in `TEST_FILES`, a line each, into one
 * process.
 *
 * The runner itself would pass over a file that throws after its first test, and with it the tests that never came to
 * be; here such a file is a test that fails.
 */
import { resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

for (const file of (process.env.TEST_FILES ?? "").split("\n")) {
  try {
    await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    test(`${file} loads`, () => {
      throw error;
    });
  }
}
