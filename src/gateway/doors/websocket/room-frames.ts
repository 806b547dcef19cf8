import { ErrorInfoSchema } from "../../../../gen/google/rpc/error_details_pb.ts";
import type { CallContext } from "../../../core/call/context.ts";
import type { SharedMessage } from "../../../core/codec/shared-message.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import {
  positionHeader,
  resetHeader,
  resetPosition,
  resumeHeader,
} from "../../../core/metadata/stream-position.ts";

/** The call of a room, as its client knows it. */
interface RoomCall {
  readonly context: CallContext;
  /** The position that the client was told last. */
  position: string | undefined;
}

/**
 * What a socket says of rooms to a client that has said hello: where its calls begin, the position of each message, what
 * it has missed, and that the server is there while nothing else comes.
 */
export class RoomFrames {
  readonly #write: (text: string) => void;
  readonly #beatMs: number;
  readonly #calls = new Map<string, RoomCall>();
  #beats = 0;
  #lastMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param write sends a frame, ahead of messages that wait
   * @param beatMs the silence behind which a sign of life is sent, in milliseconds
   */
  constructor(write: (text: string) => void, beatMs: number) {
    this.#write = write;
    this.#beatMs = beatMs;
    this.#beatAfter(beatMs);
  }

  /** A call begins. */
  begin(idText: string, context: CallContext): void {
    context.onResponseHeader(() => this.#joined(idText, context));
  }

  /** Members of the frame of the message that is sent now; empty, or with a comma at the end. */
  membersOf(idText: string, known: SharedMessage | undefined): string {
    this.#lastMs = performance.now();
    return this.#positionOf(idText) + (known === undefined ? "" : madeBeside(known));
  }

  #positionOf(idText: string): string {
    const call = this.#calls.get(idText);
    const position = call?.context.streamPlace?.positionText();
    // A message of the state that a room has at the begin has no position of its own.
    if (call === undefined || position === undefined || position === call.position) return "";
    call.position = position;
    return `"position":${JSON.stringify(position)},`;
  }

  /** A call has ended, perhaps since messages are missing. */
  end(idText: string, error: ConnectError | undefined): void {
    this.#lastMs = performance.now();
    this.#calls.delete(idText);
    const position = error && resetPosition(error);
    if (error === undefined || position === undefined) return;
    const [info] = error.findDetails(ErrorInfoSchema);
    const { room, reason, missed } = info?.metadata ?? {};
    const reset = { room, reason, missed: missed === undefined ? undefined : Number(missed), position };
    this.#write(`{"id":${idText},"reset":${JSON.stringify(reset)}}`);
  }

  /** The server stops: the client should go on elsewhere. */
  goAway(): void {
    this.#write('{"goaway":{"inMs":0}}');
  }

  /** The socket is over. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #joined(idText: string, context: CallContext): void {
    const position = context.responseField(positionHeader);
    if (position === undefined || this.#calls.has(idText)) return;
    this.#calls.set(idText, { context, position });
    const reason = firstReason(context.responseField(resetHeader));
    const joined = { position, resume: context.responseField(resumeHeader), reason };
    this.#write(`{"id":${idText},"joined":${JSON.stringify(joined)}}`);
  }

  #beatAfter(ms: number): void {
    this.#timer = setTimeout(() => this.#beat(), ms).unref();
  }

  /** One timer for all: what was sent meanwhile only makes it wait longer. */
  #beat(): void {
    const silentMs = performance.now() - this.#lastMs;
    if (silentMs < this.#beatMs) return this.#beatAfter(this.#beatMs - silentMs);
    for (const [idText, call] of this.#calls) {
      const position = call.context.streamPlace?.settledText();
      if (position === undefined || position === call.position) continue;
      call.position = position;
      this.#write(`{"id":${idText},"position":${JSON.stringify(position)}}`);
    }
    this.#write(`{"beat":${++this.#beats}}`);
    this.#lastMs = performance.now();
    this.#beatAfter(this.#beatMs);
  }
}

/** What a publisher has said beside its message, as members. */
function besideText({ headers, event }: SharedMessage): string {
  const said = Object.keys(headers).length === 0 ? "" : `"headers":${JSON.stringify(headers)},`;
  return event === undefined ? said : `${said}"event":${JSON.stringify(event)},`;
}

/** As `besideText`, made once for all calls that send the message. */
function madeBeside(known: SharedMessage): string {
  const before = known.formBy(besideText);
  if (typeof before === "string") return before;
  const text = besideText(known);
  known.keepForm(besideText, text);
  return text;
}

/** Why a client that resumes has missed something, by the header that says so; undefined where it has missed nothing. */
function firstReason(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  try {
    const [first] = JSON.parse(header) as { readonly reason?: string }[];
    return first?.reason?.replace(/^RESET_REASON_/, "");
  } catch {
    return undefined; // Of an upstream that means something else by the header.
  }
}
