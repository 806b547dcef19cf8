import type { CommentSource } from "../../src/entries/openapi.ts";

/**
 * Where the comments of the contracts of these programs are: `npm run generate` writes them.
 *
 * `tools/bundle.js` replaces this module in programs of one file by one that contains them.
 */
export function contractComments(): CommentSource {
  return new URL("../../gen/contract.binpb", import.meta.url);
}
