import { createRequire } from "node:module";

const requireOwn = createRequire(import.meta.url);

/** The version of this package. */
export function ownVersion(): string {
  // Resolved by package name, since sources and compiled files are at different depths.
  const manifest = requireOwn("ts-ms/package.json") as { version: string }; // JSON has no type.
  return manifest.version;
}
