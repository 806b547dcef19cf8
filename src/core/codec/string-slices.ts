/** Longer texts are worth giving back while a piece of them is kept, in characters. */
const sharedTextLength = 65_536;

/** V8 copies shorter slices. */
const shortestPointer = 13;

/**
 * Whether a piece of a text may be a slice of it. V8 makes a longer slice point into its parent, and a handler that
 * keeps one name must not keep a whole large body alive: such pieces have to be copied out.
 */
export function sliceIsCheap(length: number, textLength: number): boolean {
  return length < shortestPointer || textLength < sharedTextLength;
}
