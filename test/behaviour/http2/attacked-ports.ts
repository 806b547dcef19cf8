import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { TestContext } from "node:test";
import { echoFrame, assertAlive, echoPath, running } from "../../support/running-grpc.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { flag, frameType, hpack, http2Frame, RawHttp2 } from "../../support/http2-frames.ts";
import { assertNoSockets } from "./http2-fixture.ts";

/** Fields of a request's head, in their order. */
export type Fields = readonly (readonly [name: string, value: string])[];

/** What the tests of attacks choose; both servers have these options. */
export interface AttackedOptions {
  readonly maxConcurrentStreams?: number;
  readonly handshakeTimeoutMs?: number;
  /** Of gateways `own` in place of `node`, of gRPC servers `grpc-js` in place of `own`. */
  readonly engine?: "own" | "grpc-js";
  /** Of gateways. */
  readonly allowedHosts?: readonly string[];
}

/** A server under attack, stopped at the end of the test. */
export interface Attacked {
  readonly port: number;
  readonly url: string;
  /** How many calls have reached the service. */
  calls(): number;
  /** Fails unless the next good call on a new connection is answered. */
  assertAlive(): Promise<void>;
  /** Fails if connections stay open. */
  assertNoSockets(): Promise<void>;
  /** Both: the attack is over and has left nothing behind. */
  assertSound(): Promise<void>;
}

/** A port that speaks HTTP/2, and how it is called. */
export interface AttackedPort {
  readonly name: string;
  /** Head of a call of the echo. */
  readonly fields: Fields;
  /** Body of a call of the echo. */
  body(text: string): Buffer;
  /** Most calls that a body whose length is not the one announced may cost. */
  readonly callsOfWrongLength: number;
  start(t: TestContext, options?: AttackedOptions): Promise<Attacked>;
}

export const grpcPort: AttackedPort = {
  name: "the gRPC port",
  fields: [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", echoPath],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ],
  body: (text) => echoFrame({ text }),
  callsOfWrongLength: 0,
  async start(t, options = {}) {
    const { engine, ...limits } = options;
    const server = await running(t, engine === "grpc-js" ? { ...limits, engine } : limits);
    const noSockets = async (): Promise<void> => {
      const deadline = performance.now() + 10_000;
      while (server.server.connections > 0) {
        assert.ok(performance.now() < deadline, `${server.server.connections} connections are left`);
        await pause(1);
      }
    };
    return {
      port: server.port,
      url: server.baseUrl,
      calls: () => server.echo.calls,
      assertAlive: () => assertAlive(server),
      assertNoSockets: noSockets,
      assertSound: () => noSockets().then(() => assertAlive(server)),
    };
  },
};

export const grpcJsPort: AttackedPort = {
  ...grpcPort,
  name: "the gRPC port, grpc-js",
  start: (t, options) => grpcPort.start(t, { ...options, engine: "grpc-js" }),
};

export const gatewayPort: AttackedPort = {
  name: "the gateway's port, node:http2",
  fields: [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/test/v1/echo"],
    [":authority", "test"],
    ["content-type", "application/json"],
  ],
  body: (text) => Buffer.from(JSON.stringify({ text })),
  callsOfWrongLength: 1, // An announced length of 0 may have been believed before the first byte of the body.
  async start(t, options = {}) {
    const { engine, ...limits } = options;
    const gateway = await startGateway({ ...limits, engine: engine === "own" ? engine : "node" });
    t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
    return {
      port: gateway.port,
      url: gateway.url,
      calls: () => gateway.echo.calls,
      assertAlive: () => gateway.stillServes(),
      assertNoSockets: () => assertNoSockets(gateway),
      assertSound: () => assertNoSockets(gateway).then(() => gateway.stillServes()),
    };
  },
};

export const ownGatewayPort: AttackedPort = {
  ...gatewayPort,
  name: "the gateway's port",
  start: (t, options) => gatewayPort.start(t, { ...options, engine: "own" }),
};

/** A gateway over each engine of HTTP/2. */
export const gatewayPorts: readonly AttackedPort[] = [gatewayPort, ownGatewayPort];

/** Every port that has to bear attacks by HTTP/2. */
export const attackedPorts: readonly AttackedPort[] = [grpcPort, grpcJsPort, ...gatewayPorts];

/** A connection that sends any frames, closed at the end of the test. */
export async function attack(t: TestContext, { port }: { readonly port: number }, hello = true) {
  const connection = await RawHttp2.open("127.0.0.1", port, hello);
  t.after(() => connection.destroy());
  return connection;
}

/** The frame that begins a stream whose body is still to come. */
export function begin(id: number, block: Buffer): Buffer {
  return http2Frame(frameType.headers, flag.endHeaders, id, block);
}

/** The frames of a whole request. */
export function whole(id: number, fields: Fields, body: Buffer): Buffer[] {
  return [begin(id, hpack(fields)), http2Frame(frameType.data, flag.endStream, id, body)];
}
