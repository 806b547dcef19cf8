/** The suite once more, over the library's own engine. */
process.env["TS_MS_TEST_ENGINE"] = "own";
await import("./hostile-upstream.test.ts");
