import { connect } from "node:net";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import type { HttpServerOptions } from "../../src/gateway/http-server-options.ts";
import { type Gateway, startGateway } from "./gateway-fixture.ts";
import type { Script } from "./http1-scripts.ts";

/** What a client saw of its connection. */
export interface Seen {
  readonly answer: string;
  /** Whether the server ended the connection before the client ended its side. */
  readonly closed: boolean;
}

/** How patiently a script is played. */
interface Pace {
  /** Turns of the event loop between two pieces. */
  readonly turns: number;
  /** After so long without a byte the client ends its side, in milliseconds. */
  readonly silenceMs: number;
}

const quick: Pace = { turns: 4, silenceMs: 250 };
const slow: Pace = { turns: 30, silenceMs: 600 };

/** A script that went otherwise by one lane than by the other. */
export interface Difference {
  readonly script: string;
  readonly fast: Seen;
  readonly node: Seen;
}

/** The same gateway twice in this process: with the fast lane and without. */
export class TwoLanes implements AsyncDisposable {
  readonly fast: Gateway;
  readonly node: Gateway;
  /** Scripts that differed twice, and not when they were played slowly, or only as `endsEarlier` says. */
  unsteady = 0;

  private constructor(fast: Gateway, node: Gateway) {
    this.fast = fast;
    this.node = node;
  }

  static async start(options: Partial<HttpServerOptions> = {}): Promise<TwoLanes> {
    const all: Partial<HttpServerOptions> = { defaultTimeoutMs: 0, maxBodyBytes: 20_000, ...options };
    const fast = await startGateway({ ...all, fastLane: true });
    return new TwoLanes(fast, await startGateway({ ...all, fastLane: false }));
  }

  /**
   * Plays scripts by both lanes, so many at a time. One that differs is played again, alone, and then slowly: what a
   * client sees of pipelined requests depends on what has arrived when.
   */
  async differences(scripts: readonly Script[], width: number): Promise<readonly Difference[]> {
    const differing: Script[] = [];
    const left = scripts.values();
    await Promise.all(
      Array.from({ length: width }, async () => {
        for (const script of left)
          if ((await this.#compare(script, quick)) !== undefined) differing.push(script);
      }),
    );
    const found: Difference[] = [];
    for (const script of differing) {
      if ((await this.#compare(script, quick)) === undefined) continue; // The machine had other things to do.
      const difference = await this.#compare(script, slow);
      if (difference === undefined) this.unsteady++;
      else found.push(difference);
    }
    return found;
  }

  async #compare(script: Script, pace: Pace): Promise<Difference | undefined> {
    const [fast, node] = await Promise.all([
      play(this.fast.port, script, pace),
      play(this.node.port, script, pace),
    ]);
    if (fast.answer === node.answer && fast.closed === node.closed) return undefined;
    if (pace === slow && script.pieces.length > 1 && endsEarlier(fast, node)) return undefined;
    const text = script.pieces.map((piece) => JSON.stringify(piece.toString("latin1"))).join(" | ");
    return { script: text, fast, node };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fast[Symbol.asyncDispose]();
    await this.node[Symbol.asyncDispose]();
  }
}

const closes = "Connection: close\r\n";
const keeps = "Connection: keep-alive\r\nKeep-Alive: timeout=72\r\n";

/**
 * Whether one client got fewer answers than the other and no other ones, the last of which closed its connection.
 *
 * A broken request ends a connection behind the request that is being answered then. Whether that is the last one before
 * it or an earlier one depends on when its bytes are looked at: Node runs what waits for its turn between two parts of
 * a body that it has read at once, if bodies came in parts before, and not otherwise.
 */
function endsEarlier(one: Seen, other: Seen): boolean {
  const [short, long] =
    one.answer.length < other.answer.length ? [one.answer, other.answer] : [other.answer, one.answer];
  const at = short.lastIndexOf(closes);
  if (at === -1 || !one.closed || !other.closed) return false;
  return long.startsWith(`${short.slice(0, at)}${keeps}${short.slice(at + closes.length)}`);
}

async function play(port: number, { pieces }: Script, { turns, silenceMs }: Pace): Promise<Seen> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const parts: Buffer[] = [];
  let closed = false;
  let ended = false;
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    ended = true;
    socket.end();
  }, silenceMs);
  socket.on("data", (chunk: Buffer) => {
    parts.push(chunk);
    timer.refresh();
  });
  socket.on("error", () => {});
  socket.once("end", () => (closed = !ended));
  socket.once("close", () => {
    clearTimeout(timer);
    done.resolve();
  });
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) for (let turn = 0; turn < turns; turn++) await nextTurn();
    if (!socket.writable) break;
    socket.write(piece);
    timer.refresh();
  }
  await Promise.race([done.promise, wait(30_000, undefined, { ref: false })]);
  socket.destroy();
  const answer = Buffer.concat(parts).toString("latin1");
  return { answer: answer.replaceAll(/\r\nDate: [^\r]{29}\r\n/g, "\r\nDate: now\r\n"), closed };
}
