import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { ReplyReader } from "./http-reply.ts";
import { LoadRound } from "./load-round.ts";

/** An encoded request and its expected response. */
export interface HttpWork {
  readonly method: "GET" | "POST";
  readonly target: string;
  /** JSON text of the body; undefined for none. */
  readonly body: string | undefined;
  /** Media type of the body. Default: `application/json`. */
  readonly contentType?: string;
  /** The header `Accept`. Default: anything. */
  readonly accept?: string;
  /** Further headers. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Values of a header, one request after the other has the next. Default: none. */
  readonly turns?: { readonly header: string; readonly values: readonly string[] };
  /** The expected JSON value. */
  readonly answer: unknown;
  /** Whether another JSON value is equivalent. Default: it has the same members. */
  readonly isAnswer?: (value: unknown) => boolean;
  /** The JSON value of a response, undefined for a wrong one. Default: its text is JSON. */
  readonly read?: (text: string) => unknown;
}

/** Whether `text` is a correct response to `work`. */
export function isAnswer({ answer, isAnswer: says, read = parse }: HttpWork, text: string): boolean {
  const value = read(text);
  return sameJson(value, answer) || (value !== undefined && says?.(value) === true);
}

/** Number of connections of a load, each with one request at a time. */
const connectionCount = 32;

/**
 * Repeats the same request on persistent HTTP/1.1 connections.
 *
 * The generator is cheap compared with any server: request bytes are prepared, replies are separated by their length,
 * and bodies are compared as bytes. The first body is compared as JSON; all others must equal it.
 */
export class HttpLoad {
  readonly #work: HttpWork;
  readonly #requests: readonly Buffer[];
  readonly #lanes: Lane[];
  readonly #times: number[] | undefined;
  #body: Buffer | undefined;
  #sent = 0;
  #round: LoadRound | undefined;

  private constructor(work: HttpWork, sockets: readonly Socket[], times: number[] | undefined) {
    this.#work = work;
    this.#requests = requestsOf(work);
    this.#times = times;
    this.#lanes = sockets.map(
      (socket) =>
        new Lane(
          socket,
          (lane, body) => this.#answered(lane, body),
          (error) => this.#round?.fail(error),
        ),
    );
  }

  /**
   * @param connections number of connections. Default: 32.
   * @param times gets the time of every call from its request to the end of its response, in milliseconds
   * @param connectTo makes a connection. Default: without TLS
   */
  static async open(
    port: number,
    work: HttpWork,
    connections = connectionCount,
    times?: number[],
    connectTo: (port: number) => Socket = overTcp,
  ): Promise<HttpLoad> {
    const sockets = Array.from({ length: connections }, () => connectTo(port));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    return new HttpLoad(work, sockets, times);
  }

  /**
   * Keeps all connections busy for this many milliseconds, or for this many calls, and resolves with the number of
   * responses when the last request is answered.
   *
   * @throws Error for a wrong response or a closed connection
   */
  async run(ms: number, calls = Infinity): Promise<number> {
    const round = new LoadRound(ms, calls);
    this.#round = round;
    for (const lane of this.#lanes) if (round.begin()) lane.send(this.#next());
    return round.done;
  }

  close(): void {
    this.#round = undefined;
    for (const lane of this.#lanes) lane.close();
  }

  #answered(lane: Lane, body: Buffer): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#times?.push(performance.now() - lane.sentAt);
    if (this.#body === undefined) {
      const text = body.toString();
      if (!isAnswer(this.#work, text)) round.fail(new Error(`a wrong answer: ${text.slice(0, 500)}`));
      this.#body = Buffer.from(body);
    } else if (!this.#body.equals(body)) {
      round.fail(new Error(`an answer unlike the first: ${body.toString("utf8", 0, 500)}`));
    }
    if (round.again()) lane.send(this.#next());
  }

  #next(): Buffer {
    this.#sent = (this.#sent + 1) % this.#requests.length;
    return this.#requests[this.#sent] ?? Buffer.alloc(0); // Never, as the list is not empty.
  }
}

function overTcp(port: number): Socket {
  return connect({ port, host: "127.0.0.1", noDelay: true });
}

/** One connection with one request at a time. */
class Lane {
  /** When the request was sent, in milliseconds. */
  sentAt = 0;
  readonly #socket: Socket;

  constructor(socket: Socket, onReply: (lane: Lane, body: Buffer) => void, onError: (error: Error) => void) {
    this.#socket = socket;
    const replies = new ReplyReader((body) => onReply(this, body), onError);
    socket.on("data", (chunk: Buffer) => replies.push(chunk));
    socket.on("error", onError);
    socket.on("close", () => onError(new Error("the server closed a connection")));
  }

  send(request: Buffer): void {
    this.sentAt = performance.now();
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The requests of a work, of which each connection sends one after the other. */
function requestsOf(work: HttpWork): readonly Buffer[] {
  const { turns } = work;
  if (turns === undefined) return [requestBytes(work)];
  return turns.values.map((value) => requestBytes(work, { [turns.header]: value }));
}

function requestBytes(
  { method, target, body, accept = "*/*", contentType, headers = {} }: HttpWork,
  further: HttpWork["headers"] = {},
): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, "Host: localhost", `Accept: ${accept}`, "User-Agent: bench"];
  for (const [name, value] of Object.entries({ ...headers, ...further })) lines.push(`${name}: ${value}`);
  if (body !== undefined) {
    lines.push(
      `Content-Type: ${contentType ?? "application/json"}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
    );
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
}

/** The JSON value of `text`; undefined for invalid JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether two JSON values are equal, whatever the order of members. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))];
  return left.length === right.size && left.every(([name, value]) => sameJson(value, right.get(name)));
}
