import { join } from "node:path";

/**
 * `ts-ms/hub-client` as one file for browsers, made when a page asks for it.
 *
 * `tools/bundle.js` replaces this module in programs of one file by one that contains the text.
 */
export async function hubClientText(): Promise<string> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "../../src/entries/hub-client.ts")],
    bundle: true,
    // What is loaded with the first descriptor or transport: the page gives paths of rpcs, and a URL.
    external: ["./typed-method.ts", "./links/transport-link.ts"],
    platform: "browser",
    format: "esm",
    minify: true,
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}
