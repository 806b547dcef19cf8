import type { JournalEntry, RecordedFailure, RecordedMessage } from "./journal.ts";

/** An entry as it is recorded: JSON with short names, messages in base64. */
interface EntryText {
  readonly at: number;
  readonly value?: { readonly type: string; readonly base64: string };
  readonly signal?: string;
  readonly failure?: RecordedFailure;
}

/** An entry as the text that is recorded. */
export function writeEntry({ atMs, value, signal, failure }: JournalEntry): string {
  const text: EntryText = {
    at: atMs,
    ...(value && { value: { type: value.type, base64: Buffer.from(value.bytes).toString("base64") } }),
    ...(signal !== undefined && { signal }),
    ...(failure && { failure }),
  };
  return JSON.stringify(text);
}

/** The entry of a recorded text. */
export function readEntry(text: string): JournalEntry {
  const { at, value, signal, failure } = JSON.parse(text) as EntryText; // Written by `writeEntry`.
  return {
    atMs: at,
    ...(value && { value: read(value) }),
    ...(signal !== undefined && { signal }),
    ...(failure && { failure }),
  };
}

function read({ type, base64 }: { type: string; base64: string }): RecordedMessage {
  return { type, bytes: Uint8Array.from(Buffer.from(base64, "base64")) };
}
