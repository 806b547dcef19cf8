import { strict as assert } from "node:assert";
import {
  create,
  createRegistry,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { trailerParse, validateTrailer } from "@connectrpc/connect/protocol-grpc-web";
import {
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { eventsOf } from "../behaviour/streams/stream-client.ts";
import { SocketClient } from "../behaviour/websocket/socket-client.ts";
import { callPaths } from "./calling-face.ts";
import { ask, envelope, envelopes } from "../behaviour/rpc-protocols/rpc-fixture.ts";

/** A call of an rpc of the echo service, its requests in JSON. */
export interface Call {
  readonly rpc: "echo" | "repeat" | "collect" | "chat";
  readonly requests: readonly JsonObject[];
  /** Further headers of the request, names in lower case. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** When it fires, the client leaves its call as clients of its door do. Default: the client waits for the end. */
  readonly signal?: AbortSignal;
}

/** What came out of a call, the same through every door. */
export interface Outcome {
  readonly messages: readonly JsonValue[];
  /** Undefined for a call that ended well. */
  readonly failure:
    | { readonly code: Code; readonly message: string; readonly reasons: readonly string[] }
    | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  /** The id of the request, where the server gives one. */
  readonly requestId: string | undefined;
}

/** A client that makes calls through one door. May reject when the call's signal fires. */
export type DoorClient = (call: Call) => Promise<Outcome>;

/** Metadata that outcomes speak of; where a door mixes headers and trailers, the name tells them apart. */
const headerNames = ["x-header", "x-bytes-bin"];
const trailerNames = ["x-trailer", "x-more-bin", "x-own"];

/** What a reply says of the door that it came through. */
const ofDoors: ReadonlySet<string> = new Set(["headers", "protocol", "timeoutMs"]);

/** A client of Connect's own. */
export function through(transport: Transport): DoorClient {
  const client = createClient(EchoService, transport);
  return async ({ rpc, requests, headers = {}, signal }) => {
    const { input, output } = methodOf(rpc);
    const inputs = requests.map((request) => fromJson(input, request));
    const taken = new Taken(output);
    const options = {
      headers,
      ...(signal && { signal }),
      onHeader: (fields: Headers): void => taken.add(fields),
      onTrailer: (fields: Headers): void => taken.add(fields),
    };
    const [first] = inputs;
    const one = first ?? create(input);
    // The methods of the client take what their descriptors say, which `methodOf` has read.
    const call = client[rpc] as unknown as (request: unknown, options: object) => unknown;
    try {
      if (rpc === "echo") taken.message((await call(one, options)) as Message);
      else if (rpc === "collect") taken.message((await call(each(inputs), options)) as Message);
      else {
        const replies = call(rpc === "chat" ? each(inputs) : one, options) as AsyncIterable<Message>;
        for await (const reply of replies) taken.message(reply);
      }
    } catch (reason) {
      taken.fail(reason);
    }
    return taken.outcome;
  };
}

/** A client of REST, whose streamed answers are of this type. */
export function rest(port: number, accept: "application/x-ndjson" | "text/event-stream"): DoorClient {
  return async ({ rpc, requests, headers: more, signal }) => {
    const { output, path, manyRequests, manyReplies } = methodOf(rpc);
    const lines = manyRequests ? requests : [requests[0] ?? {}];
    const type = manyRequests ? "application/x-ndjson" : "application/json";
    const isUnary = !manyReplies && accept !== "text/event-stream";
    const accepted = isUnary ? "application/json" : accept;
    const headers = { "content-type": type, accept: accepted, te: "trailers", ...more };
    const body = lines.map((line) => JSON.stringify(line)).join("\n");
    const answer = await ask(port, path, headers, body, "POST", signal);
    const taken = new Taken(output);
    taken.add(new Headers(fieldsOf(answer.headers)));
    taken.add(new Headers(fieldsOf(answer.trailers)));
    const text = answer.body.toString();
    if (answer.status !== 200) {
      taken.failStatus(JSON.parse(text) as Status);
    } else if (String(answer.headers["content-type"]).startsWith("text/event-stream")) {
      const events = eventsOf(text);
      for (const { event, data } of events) {
        const value = JSON.parse(data) as JsonObject;
        if (event === "message") taken.json(value);
        else if (event === "end") taken.add(new Headers(value["trailers"] as Record<string, string>));
        else taken.failStatus(value as unknown as Status);
      }
      assert.notEqual(events.at(-1)?.event, "message", "the stream does not say how it ended");
    } else {
      for (const line of text.split("\n").filter((part) => part !== "")) {
        const value = JSON.parse(line) as JsonObject;
        if ("error" in value) taken.failStatus(value["error"] as unknown as Status);
        else taken.json(value);
      }
    }
    return taken.outcome;
  };
}

/** gRPC-Web whose bodies are base64. */
export function grpcWebText(port: number): DoorClient {
  return async ({ rpc, requests, headers: more, signal }) => {
    const { input, output, path, manyRequests } = methodOf(rpc);
    const inputs = manyRequests ? requests : [requests[0] ?? {}];
    const body = Buffer.concat(inputs.map((request) => envelope(toBinary(input, fromJson(input, request)))));
    const headers = { "content-type": "application/grpc-web-text", ...more };
    const answer = await ask(port, path, headers, body.toString("base64"), "POST", signal);
    const parts = answer.body.toString().split(/(?<==)(?!=)/);
    const all = envelopes(Buffer.concat(parts.map((part) => Buffer.from(part, "base64"))));
    const end = all.pop() ?? assert.fail("there is no end");
    const taken = new Taken(output);
    const fields = new Headers(fieldsOf(answer.headers));
    taken.add(fields);
    for (const { data } of all) taken.message(fromBinary(output, data));
    const trailer = trailerParse(end.data);
    taken.add(trailer);
    try {
      validateTrailer(trailer, fields);
    } catch (reason) {
      taken.fail(reason);
    }
    return taken.outcome;
  };
}

/** A WebSocket for each call. */
export function routeSocket(port: number, protocol: "json" | "proto"): DoorClient {
  return async ({ rpc, requests, headers = {}, signal }) => {
    const { input, output, path, manyRequests } = methodOf(rpc);
    const url = `ws://127.0.0.1:${port}${path}`;
    const socket = await new SocketClient(url, [protocol], { headers }).open();
    signal?.addEventListener("abort", () => socket.ws.terminate());
    const frames = manyRequests ? requests : [requests[0] ?? {}];
    for (const request of frames) {
      if (protocol === "json") socket.send(JSON.stringify(request));
      else socket.send(toBinary(input, fromJson(input, request)));
    }
    if (manyRequests) socket.send("");
    const { code } = await socket.closed;
    const last = socket.frames.pop() ?? assert.fail(`closed with ${code} and no frame`);
    const taken = new Taken(output);
    for (const { data, isBinary } of socket.frames) {
      assert.equal(isBinary, protocol === "proto");
      if (isBinary) taken.message(fromBinary(output, data));
      else taken.json(JSON.parse(data.toString()) as JsonObject);
    }
    const end = JSON.parse(last.data.toString()) as SocketEnd;
    taken.end(end);
    const isStop = code === 1001 && end.status.code === Code.Unavailable;
    if (!isStop) assert.equal(code, end.status.code === 0 ? 1000 : 4000 + end.status.code);
    return taken.outcome;
  };
}

/** A face, see `callingFace`. @param path one of `callPaths` */
export function face(port: number, path: string): DoorClient {
  return async ({ rpc, requests, headers: more, signal }) => {
    const headers = { "content-type": "application/json", ...more };
    const body = JSON.stringify({ requests });
    const answer = await ask(port, `${path}?rpc=${rpc}`, headers, body, "POST", signal);
    const taken = new Taken(methodOf(rpc).output);
    taken.add(new Headers(fieldsOf(answer.headers)));
    const text = answer.body.toString();
    if (answer.status !== 200) {
      taken.failStatus(JSON.parse(text) as Status);
      return taken.outcome;
    }
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as JsonObject);
    const { status, fields } = lines.pop() ?? assert.fail("there is no end");
    assert.ok(fields !== undefined, "the call does not say how it ended");
    for (const line of lines) taken.json(line);
    taken.add(new Headers(fields as Record<string, string>));
    if (status !== undefined) taken.failStatus(status as unknown as Status);
    return taken.outcome;
  };
}

/** One WebSocket for all calls. */
export async function manyCallsSocket(port: number): Promise<{ client: DoorClient; close: () => void }> {
  const socket = await new SocketClient(`ws://127.0.0.1:${port}/ws`, ["json"]).open();
  let id = 0;
  return {
    close: () => socket.ws.terminate(),
    async client({ rpc, requests, headers = {}, signal }) {
      const { output, path, manyRequests } = methodOf(rpc);
      const call = { id: ++id, method: path.slice(1), headers };
      signal?.addEventListener("abort", () => socket.send(JSON.stringify({ id: call.id, cancel: true })));
      if (manyRequests) {
        socket.send(JSON.stringify(call));
        for (const message of requests) socket.send(JSON.stringify({ id, message }));
        socket.send(JSON.stringify({ id, end: true }));
      } else {
        socket.send(JSON.stringify({ ...call, message: requests[0] ?? {} }));
      }
      const taken = new Taken(output);
      for (;;) {
        const frame = (await socket.json()) as JsonObject;
        if ("pause" in frame) continue;
        assert.equal(frame["id"], id);
        if (!("status" in frame)) {
          taken.json(frame["message"] as JsonObject);
          continue;
        }
        taken.end(frame as unknown as SocketEnd);
        return taken.outcome;
      }
    },
  };
}

/**
 * Clients of every door of an HTTP port, by their names.
 *
 * @param hasFace whether `callingFace` is among its faces
 */
export async function doorClients(
  port: number,
  suffix = "",
  hasFace = true,
): Promise<{ clients: Map<string, DoorClient>; close: () => void }> {
  const clients = new Map<string, DoorClient>();
  for (const useBinaryFormat of [true, false]) {
    const form = `${useBinaryFormat ? "binary" : "JSON"}${suffix}`;
    const options = { baseUrl: `http://127.0.0.1:${port}`, useBinaryFormat };
    clients.set(`gRPC on the HTTP port, ${form}`, through(createGrpcTransport(options)));
    for (const httpVersion of ["1.1", "2"] as const) {
      const on = `HTTP/${httpVersion}, ${form}`;
      clients.set(`Connect POST, ${on}`, through(createConnectTransport({ ...options, httpVersion })));
      const get = createConnectTransport({ ...options, httpVersion, useHttpGet: true });
      clients.set(`Connect GET, ${on}`, through(get));
      clients.set(`gRPC-Web, ${on}`, through(createGrpcWebTransport({ ...options, httpVersion })));
    }
  }
  clients.set(`gRPC-Web text${suffix}`, grpcWebText(port));
  clients.set(`REST${suffix}`, rest(port, "application/x-ndjson"));
  clients.set(`SSE${suffix}`, rest(port, "text/event-stream"));
  for (const protocol of ["json", "proto"] as const) {
    clients.set(`WebSocket, ${protocol}${suffix}`, routeSocket(port, protocol));
  }
  for (const [name, path] of hasFace ? Object.entries(callPaths) : []) {
    clients.set(`Face, ${name}${suffix}`, face(port, path));
  }
  const many = await manyCallsSocket(port);
  clients.set(`WebSocket of many calls${suffix}`, many.client);
  return { clients, close: many.close };
}

/** `google.rpc.Status` in JSON. */
interface Status {
  readonly code: Code;
  readonly message: string;
  readonly details: readonly JsonValue[];
}

/** The last frame of a call over a WebSocket. */
interface SocketEnd {
  readonly status: Omit<Status, "code"> & { readonly code: number };
  readonly headers: Record<string, string>;
  readonly trailers: Record<string, string>;
}

interface Method {
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly path: string;
  readonly manyRequests: boolean;
  readonly manyReplies: boolean;
}

function methodOf(rpc: Call["rpc"]): Method {
  const { input, output, parent, name, methodKind }: DescMethod = EchoService.method[rpc];
  return {
    input,
    output,
    path: `/${parent.typeName}/${name}`,
    manyRequests: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    manyReplies: methodKind === "server_streaming" || methodKind === "bidi_streaming",
  };
}

/** Gathers what comes back. */
class Taken {
  readonly #output: DescMessage;
  readonly #messages: JsonValue[] = [];
  readonly #fields = new Headers();
  #failure: Outcome["failure"];

  constructor(output: DescMessage) {
    this.#output = output;
  }

  /** Headers or trailers; clients of Connect give some of them twice. */
  add(fields: Headers): void {
    for (const [name, value] of fields) if (!this.#fields.has(name)) this.#fields.set(name, value);
  }

  json(value: JsonValue): void {
    this.message(fromJson(this.#output, value));
  }

  message(message: Message): void {
    const json = toJson(this.#output, message) as JsonObject; // A message of no well-known type.
    this.#messages.push(Object.fromEntries(Object.entries(json).filter(([name]) => !ofDoors.has(name))));
  }

  fail(reason: unknown): void {
    assert.ok(reason instanceof ConnectError, String(reason));
    this.add(reason.metadata);
    const reasons = reason.findDetails(ErrorInfoSchema).map((detail) => detail.reason);
    this.#failure = { code: reason.code, message: reason.rawMessage, reasons };
  }

  failStatus({ code, message, details }: Status): void {
    const registry = createRegistry(ErrorInfoSchema, RetryInfoSchema, QuotaFailureSchema);
    const reasons = details.flatMap((detail) => {
      const any = fromJson(AnySchema, detail, { registry });
      return anyUnpack(any, ErrorInfoSchema)?.reason ?? [];
    });
    this.#failure = { code, message, reasons };
  }

  end({ status, headers, trailers }: SocketEnd): void {
    this.add(new Headers(headers));
    this.add(new Headers(trailers));
    for (const name of headerNames) assert.ok(!(name in trailers), `${name} is a header`);
    for (const name of trailerNames) assert.ok(!(name in headers), `${name} is a trailer`);
    if (status.code !== 0) this.failStatus(status);
  }

  get outcome(): Outcome {
    return {
      messages: this.#messages,
      failure: this.#failure,
      headers: this.#pick(headerNames),
      trailers: this.#pick(trailerNames),
      requestId: this.#fields.get("x-request-id") ?? undefined,
    };
  }

  #pick(names: readonly string[]): Record<string, string> {
    const fields = this.#fields;
    return Object.fromEntries(
      names.flatMap((name) => (fields.has(name) ? [[name, fields.get(name) ?? ""]] : [])),
    );
  }
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function fieldsOf(fields: NodeJS.Dict<string | string[]>): [name: string, value: string][] {
  return Object.entries(fields).map(([name, value]) => [name, String(value)]);
}
