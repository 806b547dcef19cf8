import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../src/core/call/client.ts";
import { dial, type DialOptions } from "../../src/core/dial.ts";
import { frameType, http2Frame, uint32, type RawHttp2 } from "./http2-frames.ts";
import { onRequests, RawHttp2Server } from "./raw-http2-server.ts";
import "./test-engine.ts";

const { goaway } = frameType;

/** A client over the library's own engine; it is closed with the test. */
export function dialed(t: TestContext, target: string, options: Partial<DialOptions> = {}) {
  const transport = dial(target, { engine: "own", ...options });
  t.after(() => transport.close());
  return { transport, client: createClient(EchoService, transport) };
}

/** A client with a server of bare frames, whose SETTINGS are `settings`. */
export async function against(
  t: TestContext,
  onConnection: (raw: RawHttp2, index: number) => void,
  options: Partial<DialOptions> & { readonly settings?: Buffer } = {},
) {
  const { settings: hello, ...dialOptions } = options;
  const server = await new RawHttp2Server(onConnection, hello).listen();
  t.after(() => server[Symbol.asyncDispose]());
  return { server, ...dialed(t, server.target, dialOptions) };
}

/** Answers every request of a connection by `bytes`. */
export function answering(bytes: (streamId: number) => Buffer | readonly Buffer[]) {
  return (raw: RawHttp2): void =>
    onRequests(raw, (streamId) => {
      const answer = bytes(streamId);
      raw.send(...(Buffer.isBuffer(answer) ? [answer] : answer));
    });
}

/** The code of the GOAWAY that a client has sent. */
export async function goawayOf(raw: RawHttp2 | undefined): Promise<number> {
  if (raw === undefined) assert.fail("no connection came");
  await raw.until("GOAWAY", ({ closed }) => closed || raw.of(goaway).length > 0);
  const [seen] = raw.of(goaway);
  assert.ok((seen?.payload.length ?? 0) <= 8 + 64);
  return seen?.payload.readUInt32BE(4) ?? -1;
}

/** The same bytes, many times. */
export function many(count: number, one: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => one));
}

/** A GOAWAY frame. */
export function goawayFrame(lastStreamId: number, code: number, debug = ""): Buffer {
  return http2Frame(goaway, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), Buffer.from(debug)]));
}
