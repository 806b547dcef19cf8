import { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { FaceCall } from "../face-call.ts";

/** How much of a stream is gathered. */
export interface GatherLimits {
  readonly maxBytes: number;
  readonly maxMessages: number;
  readonly maxMs: number;
  /** Is told how many messages have come; a promise makes the stream wait. */
  readonly progress: ((count: number) => Promise<void> | undefined) | undefined;
}

/** The messages that were gathered. */
export interface Gathered {
  readonly texts: readonly string[];
  /** Whether the stream goes on. */
  readonly more: boolean;
  /** The size of the message that was one too many; undefined where there is none. */
  readonly tooLargeBytes: number | undefined;
}

/** How long a stream whose messages are complete may take to say whether it has ended, in milliseconds. */
const endMs = 50;

const timeIsUp = Symbol("time is up");

/**
 * Gathers messages until the stream ends or a limit is reached; what goes on then is cancelled.
 *
 * @throws ConnectError of the call
 */
export async function gather(
  call: FaceCall,
  stream: AsyncGenerator<string, void, undefined>,
  { maxBytes, maxMessages, maxMs, progress }: GatherLimits,
): Promise<Gathered> {
  const texts: string[] = [];
  let bytes = 0;
  let clock = alarm(maxMs);
  try {
    for (;;) {
      const next = await Promise.race([stream.next(), clock.rung]);
      if (next === timeIsUp) return cut(call, stream, texts, undefined);
      if (next.done === true) return { texts, more: false, tooLargeBytes: undefined };
      const size = Buffer.byteLength(next.value);
      bytes += size;
      if (bytes > maxBytes || texts.length === maxMessages) {
        return cut(call, stream, texts, bytes > maxBytes ? size : undefined);
      }
      texts.push(next.value);
      const waiting = progress?.(texts.length);
      if (waiting !== undefined) await call.context.race(waiting);
      if (texts.length === maxMessages) {
        clock.stop();
        clock = alarm(endMs);
      }
    }
  } finally {
    clock.stop();
  }
}

function alarm(ms: number): { readonly rung: Promise<typeof timeIsUp>; readonly stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<typeof timeIsUp>();
  const timer = setTimeout(resolve, ms, timeIsUp);
  return { rung: promise, stop: () => clearTimeout(timer) };
}

/** The rest of the stream is not wanted. */
function cut(
  call: FaceCall,
  stream: AsyncGenerator<string, void, undefined>,
  texts: readonly string[],
  tooLargeBytes: number | undefined,
): Gathered {
  call.context.abort(
    new ConnectError("the result is full: the rest of the stream is not read", Code.Canceled),
  );
  stream.return().catch(nothing); // It ends as the call does.
  return { texts, more: true, tooLargeBytes };
}

function nothing(): void {}
