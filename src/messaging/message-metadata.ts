/** Headers of messages that become metadata; `forwardHeaders` adds others. */
const forwarded: readonly string[] = [
  "accept-language",
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "last-event-id",
];

/** The metadata of a call that a message becomes. */
export function metadataOf(headers: ReadonlyMap<string, string>, forwardHeaders: readonly string[]): Headers {
  const metadata = new Headers();
  for (const name of [...forwarded, ...forwardHeaders]) {
    const value = headers.get(name);
    if (value !== undefined && /^[\x20-\x7e]*$/.test(value)) metadata.set(name, value);
  }
  return metadata;
}

/** The size of headers, in bytes. */
export function headerBytes(headers: readonly (readonly [name: string, value: unknown])[]): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + String(value).length;
  return bytes;
}
