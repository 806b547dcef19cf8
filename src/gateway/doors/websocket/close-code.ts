import { Code, type ConnectError } from "../../../core/errors/errors.ts";

/** Close codes (RFC 6455 section 7.4.1) that the gateway uses; errors of calls are 4000 plus their code. */
export const closeCode = Object.freeze({
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  invalidData: 1007,
  policy: 1008,
  tryAgainLater: 1013,
});

/** The close code of a call's error: 4000 plus its gRPC code; that of UNKNOWN if the sum is not a close code. */
export function closeCodeOf({ code }: ConnectError): number {
  return 4000 + (code <= 999 ? code : Code.Unknown);
}

/** The longest reason of a close frame, in bytes. */
const maxReasonBytes = 123;

/** The longest prefix of a text that fits into a close frame, cut between characters. */
export function closeReason(text: string): string {
  if (text.length <= maxReasonBytes / 3) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= maxReasonBytes) return text;
  let end = maxReasonBytes;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}
