import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import {
  create,
  createRegistry,
  fromBinary,
  fromJson,
  fromJsonString,
  toBinary,
  toJsonString,
  type JsonValue,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { AnySchema, anyUnpack, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { trailerParse, validateTrailer } from "@connectrpc/connect/protocol-grpc-web";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoRequestSchema, EchoResponseSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { ask, echoPath, envelope, envelopes } from "./rpc-fixture.ts";

/** What came out of a call, the same through every door. */
interface Outcome {
  readonly text?: string;
  readonly payload?: string;
  readonly number?: bigint;
  readonly code?: number;
  readonly message?: string;
  readonly reasons?: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
}

type Request = MessageInitShape<typeof EchoRequestSchema>;
type Door = (request: Request) => Promise<Outcome>;

/** Metadata that the calls below ask for; where a door mixes headers and trailers, the name tells them apart. */
const headerNames = ["x-header", "x-bytes-bin"];
const trailerNames = ["x-trailer", "x-more-bin", "x-own"];

const { echo: method } = EchoService.method;

/** Each call in the form of the outcome that it has to have. */
const calls: Readonly<Record<string, Request>> = {
  "a message with text, bytes and a large integer": {
    text: "zwölf 😀 \u0000",
    payload: new Uint8Array([0, 255, 10, 13]),
    number: -9_007_199_254_740_993n,
  },
  "an empty message": {},
  "headers and trailers": {
    text: "m",
    behaviour: {
      headers: { "x-header": "h, i", "x-bytes-bin": "AP8" },
      trailers: { "x-trailer": "t", "x-more-bin": "AQID" },
    },
  },
  "a large message": { text: "x".repeat(300_000) },
  ...Object.fromEntries(
    Object.values(Code)
      .filter((code) => typeof code === "number")
      .map((code) => [
        `an error of code ${Code[code]}`,
        { behaviour: { failure: { code, message: `${Code[code]} – 100 % / é` } } },
      ]),
  ),
  "an error with details, headers, trailers and metadata": {
    behaviour: {
      headers: { "x-header": "h" },
      trailers: { "x-trailer": "t" },
      failure: { code: Code.NotFound, message: "m", reasons: ["A", "B"], metadata: { "x-own": "o" } },
    },
  },
  "an exception that nobody planned": { behaviour: { failure: { message: "secret" } } },
};

describe("the same call through every door", () => {
  const grpc = new GrpcServer({ port: 0 }).addService(new Echo());
  const http = new HttpServer({ port: 0, upstream: grpc, grpc }).addService(EchoService);
  const remote = new HttpServer({ port: 0, upstream: grpc, dial: "network" });
  const level = method.idempotency;
  const doors = new Map<string, Door>();
  before(async () => {
    Object.assign(method, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
    remote.addService(EchoService);
    await grpc.start();
    await http.start();
    await remote.start();
    doors.set("in process", through(dial(grpc)));
    doors.set("gRPC", through(dial(`127.0.0.1:${grpc.address?.port}`)));
    for (const [name, { address }] of [
      ["", http],
      [" by a proxy", remote],
    ] as const) {
      const port = address?.port ?? 0;
      for (const useBinaryFormat of [true, false]) {
        const form = `${useBinaryFormat ? "binary" : "JSON"}${name}`;
        const options = { baseUrl: `http://127.0.0.1:${port}`, useBinaryFormat };
        doors.set(`gRPC on the HTTP port, ${form}`, through(createGrpcTransport(options)));
        for (const httpVersion of ["1.1", "2"] as const) {
          const on = `HTTP/${httpVersion}, ${form}`;
          doors.set(`Connect POST, ${on}`, through(createConnectTransport({ ...options, httpVersion })));
          const get = createConnectTransport({ ...options, httpVersion, useHttpGet: true });
          doors.set(`Connect GET, ${on}`, through(get));
          doors.set(`gRPC-Web, ${on}`, through(createGrpcWebTransport({ ...options, httpVersion })));
        }
      }
      doors.set(`gRPC-Web text${name}`, grpcWebText(port));
      doors.set(`REST${name}`, rest(port));
    }
  });
  after(async () => {
    Object.assign(method, { idempotency: level });
    await Promise.all([http, remote].map((server) => server.gracefulStop({ graceMs: 0 })));
    await grpc.gracefulStop({ graceMs: 0 });
  });

  for (const [name, request] of Object.entries(calls)) {
    test(name, async () => {
      const expected = await doors.get("in process")?.(request);
      assert.ok(doors.size > 20);
      for (const [door, call] of doors) {
        // A target has a limit that a body has not.
        if (door.startsWith("Connect GET") && (request.text?.length ?? 0) > 1000) continue;
        assert.deepEqual(await call(request), expected, door);
      }
    });
  }

  test("what is expected is what was asked for", async () => {
    const call = doors.get("in process") ?? assert.fail();
    assert.deepEqual(await call(calls["an error with details, headers, trailers and metadata"] ?? {}), {
      code: Code.NotFound,
      message: "m",
      reasons: ["A", "B"],
      headers: { "x-header": "h" },
      trailers: { "x-trailer": "t", "x-own": "o" },
    });
  });
});

/** A door that a client of Connect's own goes through. */
function through(transport: Transport): Door {
  const client = createClient(EchoService, transport);
  return async (request) => {
    let [header, trailer] = [new Headers(), new Headers()];
    try {
      const reply = await client.echo(request, {
        onHeader: (fields) => (header = fields),
        onTrailer: (fields) => (trailer = fields),
      });
      return outcomeOf(reply, header, trailer);
    } catch (reason) {
      assert.ok(reason instanceof ConnectError);
      return failureOf(reason, reason.metadata, reason.metadata);
    }
  };
}

function rest(port: number): Door {
  return async (request) => {
    const json = toJsonString(EchoRequestSchema, create(EchoRequestSchema, request));
    const answer = await ask(port, "/test/v1/echo", { "content-type": "application/json" }, json);
    const fields = new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
    const text = answer.body.toString();
    if (answer.status === 200) return outcomeOf(fromJsonString(EchoResponseSchema, text), fields, fields);
    const registry = createRegistry(ErrorInfoSchema);
    const status = JSON.parse(text) as { code: Code; message: string; details: JsonValue[] };
    const error = new ConnectError(status.message, status.code);
    error.details = status.details.map((detail) => {
      const any = fromJson(AnySchema, detail, { registry });
      const message = anyUnpack(any, ErrorInfoSchema) ?? assert.fail();
      return { desc: ErrorInfoSchema, value: message };
    });
    return failureOf(error, fields, fields);
  };
}

function grpcWebText(port: number): Door {
  return async (request) => {
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, request));
    const headers = { "content-type": "application/grpc-web-text" };
    const answer = await ask(port, echoPath, headers, envelope(bytes).toString("base64"));
    const parts = answer.body.toString().split(/(?<==)(?!=)/);
    const all = envelopes(Buffer.concat(parts.map((part) => Buffer.from(part, "base64"))));
    const fields = new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
    const trailer = trailerParse(all.at(-1)?.data ?? assert.fail("there is no end"));
    try {
      validateTrailer(trailer, fields);
    } catch (reason) {
      assert.ok(reason instanceof ConnectError);
      return failureOf(reason, fields, trailer);
    }
    return outcomeOf(
      fromBinary(EchoResponseSchema, all[0]?.data ?? assert.fail("no message")),
      fields,
      trailer,
    );
  };
}

function outcomeOf(
  { text, payload, number }: { text: string; payload: Uint8Array; number: bigint },
  header: Headers,
  trailer: Headers,
): Outcome {
  return { text, payload: Buffer.from(payload).toString("hex"), number, ...metadataOf(header, trailer) };
}

function failureOf(error: ConnectError, header: Headers, trailer: Headers): Outcome {
  const reasons = error.findDetails(ErrorInfoSchema).map(({ reason }) => reason);
  return { code: error.code, message: error.rawMessage, reasons, ...metadataOf(header, trailer) };
}

function metadataOf(header: Headers, trailer: Headers): Pick<Outcome, "headers" | "trailers"> {
  return { headers: pick(header, headerNames), trailers: pick(trailer, trailerNames) };
}

function pick(fields: Headers, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (fields.has(name) ? [[name, fields.get(name) ?? ""]] : [])),
  );
}
