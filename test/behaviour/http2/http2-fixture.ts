import assert from "node:assert/strict";
import { connect, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from "node:http2";
import { promisify } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import type { TestContext } from "node:test";
import type { Gateway } from "../../support/gateway-fixture.ts";

/** What came back on one HTTP/2 stream. */
export interface Http2Reply {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: string;
  /** Code of the RST_STREAM that ended it; 0 for none. */
  readonly rst: number;
}

/** A connection by HTTP/2, closed at the end of the test. */
export function openSession(t: TestContext, url: string): ClientHttp2Session {
  const session = connect(url);
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}

/** Sends a request and collects the reply. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Reply> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return new Promise((resolve) => {
    let head: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    let text = "";
    stream.on("response", (fields) => (head = { ...fields }));
    stream.on("trailers", (fields) => (trailers = { ...fields }));
    stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    stream.on("error", () => {});
    stream.on("close", () => {
      const status = Number(head[constants.HTTP2_HEADER_STATUS] ?? 0);
      resolve({ status, headers: head, trailers, body: text, rst: stream.rstCode ?? 0 });
    });
  });
}

/** Fails if connections stay open. */
export async function assertNoSockets({ http }: Gateway, timeoutMs = 10_000): Promise<void> {
  const { server } = http.fastify;
  const count = promisify(server.getConnections.bind(server));
  const deadline = performance.now() + timeoutMs;
  while ((await count()) > 0) {
    assert.ok(performance.now() < deadline, `${await count()} connections are left`);
    await pause(1);
  }
}
