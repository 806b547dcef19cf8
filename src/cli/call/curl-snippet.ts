import { isUtf8 } from "node:buffer";
import type { DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { FlagError } from "../../core/errors/setup-error.ts";
import { httpTransport } from "./call-target.ts";
import { type HttpClient, urlOf } from "./http-client.ts";
import { readHeaders } from "./read-headers.ts";
import { knownRequests, type PrintedCall, shellCommand } from "./printed-call.ts";
import { sentMessages } from "./requests.ts";

/** A request as it would have been sent. */
interface Captured {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** The call by curl: the request is the one that the transport would have sent. */
export async function curlSnippet(call: PrintedCall): Promise<string> {
  const { method, to, requests, flags } = call;
  if (to.protocol === "grpc") {
    throw new FlagError(`curl calls by HTTP: give the gateway as http://HOST:PORT, or --print grpcurl`);
  }
  if (to.protocol === "connect" && method.methodKind !== "unary") {
    throw new FlagError("curl cannot frame streams of Connect: give --rest");
  }
  const { method: httpMethod, url, headers, body } = await capture(call);
  const isLive = requests.kind === "stdin";
  const words: string[][] = [["curl", "-sS", ...(method.methodKind === "unary" ? [] : ["-N"])]];
  if (flags.maxTime > 0) words.push(["--max-time", String(flags.maxTime / 1000)]);
  if (flags.insecure) words.push(["--insecure"]);
  for (const [flag, file] of [
    ["--cacert", flags.grpcCa],
    ["--cert", flags.grpcCert],
    ["--key", flags.grpcKey],
  ] as const) {
    if (file !== undefined) words.push([flag, file]);
  }
  if (flags.authority !== undefined) headers.set("host", flags.authority);
  if (isLive) headers.set("content-type", "application/x-ndjson");
  for (const [name, value] of headers) words.push(["-H", `${name}: ${value}`]);
  words.push(["-X", httpMethod, url]);
  if (isLive) words.push(["-T", "."]);
  if (body.length === 0) return shellCommand(words);
  if (isUtf8(body)) return shellCommand([...words, ["--data-binary", Buffer.from(body).toString("utf8")]]);
  const text = Buffer.from(body).toString("base64");
  return `echo ${text} | base64 -d | ${shellCommand([...words, ["--data-binary", "@-"]])}`;
}

/** The end of a captured request: no response follows. */
class Capture extends Error {
  readonly request: Captured;

  constructor(request: Captured) {
    super("the request has been captured");
    this.request = request;
  }
}

const none = new Uint8Array();

async function capture({ method, to, requests, flags }: PrintedCall): Promise<Captured> {
  const client: HttpClient = {
    async fetch(input, init) {
      const { method: httpMethod = "GET", headers, body } = init ?? {};
      const bytes = body === undefined || body === null ? none : await new Response(body).bytes();
      throw new Capture({
        method: httpMethod,
        url: urlOf(input),
        headers: new Headers(headers),
        body: bytes,
      });
    },
    async universal({ method: httpMethod, url, header, body }) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body ?? []) chunks.push(chunk);
      throw new Capture({
        method: httpMethod,
        url,
        headers: new Headers(header),
        body: Buffer.concat(chunks),
      });
    },
  };
  const transport = await httpTransport(to, client, false);
  const messages = knownRequests(requests);
  const headers = readHeaders(flags.header);
  try {
    if (method.methodKind === "unary") {
      const [message] = messages;
      const unary = method as DescMethodUnary; // Its kind is what was asked.
      if (message !== undefined) await transport.unary(unary, undefined, undefined, headers, message);
    } else {
      const streaming = method as DescMethodStreaming; // All that are not unary.
      const sent = sentMessages({ kind: "known", messages });
      const { message } = await transport.stream(streaming, undefined, undefined, headers, sent);
      for await (const _ of message);
    }
  } catch (error) {
    for (let at = error; at instanceof Error; at = at.cause) if (at instanceof Capture) return at.request;
    throw error;
  }
  throw new TypeError("a call sends a request");
}
