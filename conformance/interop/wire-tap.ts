import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { GrpcServer, HandlerContext } from "../../src/index.ts";
import type { SessionLimits, StreamServer } from "../../src/core/http2/session-limits.ts";

const idHeader = "x-tapped-call";
const prefixBytes = 5;

/**
 * A proxy between a port and a `GrpcServer` that records which messages are compressed: servers of the suite must check
 * it, but handlers cannot see it.
 */
export class WireTap implements StreamServer {
  readonly #server: GrpcServer;
  readonly #flags = new Map<string, boolean[]>();

  constructor(server: GrpcServer) {
    this.#server = server;
  }

  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    const id = String(this.#flags.size);
    const seen: boolean[] = [];
    this.#flags.set(id, seen);
    let rest = 0;
    let prefix: number[] = [];
    stream.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length;) {
        if (rest > 0) {
          const taken = Math.min(rest, chunk.length - at);
          rest -= taken;
          at += taken;
          continue;
        }
        prefix.push(chunk[at++] ?? 0);
        if (prefix.length < prefixBytes) continue;
        seen.push(prefix[0] === 1);
        rest = Buffer.from(prefix).readUInt32BE(1);
        prefix = [];
      }
    });
    this.#server.acceptStream(stream, { ...headers, [idHeader]: id }, flags, rawHeaders, session);
  }

  /** Returns for each message of a call, one after the other, whether it was compressed. */
  readonly of = ({ requestHeader }: HandlerContext): (() => boolean) | undefined => {
    const seen = this.#flags.get(requestHeader.get(idHeader) ?? "");
    if (seen === undefined) return undefined;
    let at = 0;
    return () => seen[at++] ?? false; // A message is recorded before it is handled.
  };
}
