/** The chunks of a body; leaving the loop early cancels the request. */
export async function* chunksOf(body: Response["body"]): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  let isEnded = false;
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done) break;
      yield next.value as Uint8Array; // Bodies of responses have no other chunks.
    }
    isEnded = true;
  } finally {
    if (!isEnded) reader.cancel().catch(() => {});
  }
}
