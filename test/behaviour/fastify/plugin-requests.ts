/** Plugins of Fastify, and requests by which a client sees whether they act alike over every version of HTTP. */
import type { OutgoingHttpHeaders } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import compress from "@fastify/compress";
import cookie from "@fastify/cookie";
import cors from "@fastify/cors";
import helmet from "@fastify/helmet";
import multipart from "@fastify/multipart";
import rateLimit from "@fastify/rate-limit";
import files from "@fastify/static";
import underPressure from "@fastify/under-pressure";
import type { FastifyInstance } from "fastify";

/** What a client sees of an answer, whatever version of HTTP it came over. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** A request of the table. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | undefined;
}

/** Header fields that only connections of HTTP/1.1 have, and those that differ from answer to answer. */
const own: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "date",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "retry-after",
]);

/** The fields of an answer that every version of HTTP has, by name. */
export function seen(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = Object.keys(fields).filter((name) => !name.startsWith(":") && !own.has(name));
  return Object.fromEntries(names.toSorted().map((name) => [name, fields[name]]));
}

/**
 * Without the time that the echo had left, nor that after which a client may try again. Node drops the length of 204 over
 * HTTP/2, which answers must not have, but the plugin for CORS sets it.
 */
export function comparable({ status, headers, body }: Answer): object {
  const text = textOf(headers, body);
  const fixed = text
    .replace(/"timeoutMs":[\d.]+/, '"timeoutMs":1')
    .replace(/retry in \d+ \w+/, "retry later");
  const { "content-length": length, ...others } = headers;
  return { status, body: fixed, headers: fixed === text && status !== 204 ? { ...others, length } : others };
}

function textOf(headers: Answer["headers"], body: Buffer): string {
  return (headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("latin1");
}

/** Registers the plugins, and routes that use them. */
export function registerPlugins(fastify: FastifyInstance): void {
  void fastify.register(cors, { origin: ["https://app.example.com"], credentials: true });
  void fastify.register(helmet);
  void fastify.register(compress, { threshold: 100, encodings: ["gzip"] });
  void fastify.register(cookie, { secret: "a secret that signs" });
  void fastify.register(multipart);
  void fastify.register(underPressure, { maxEventLoopDelay: 60_000, exposeStatusRoute: "/status" });
  void fastify.register(rateLimit, { max: 1000, timeWindow: 60_000 });
  void fastify.register(files, { root: join(import.meta.dirname, "fixtures"), prefix: "/files/" });
  void fastify.register(async (scope) => {
    scope.get("/own/cookies", async (request, reply) => {
      void reply.setCookie("seen", "1", { path: "/", signed: true }).setCookie("b", "2");
      return { cookies: request.cookies };
    });
    scope.get("/own/long", async () => ({ text: "a".repeat(1000) }));
    scope.get("/own/limited", { config: { rateLimit: { max: 0 } } }, async () => "never");
    scope.post("/own/parts", async (request) => {
      const names: string[] = [];
      for await (const part of request.parts()) {
        names.push(part.fieldname);
        if (part.type === "file") names.push(String((await part.toBuffer()).length));
      }
      return names;
    });
  });
}

const origin = { origin: "https://app.example.com" };
const form = [
  ["a", "", "1"],
  ["f", '; filename="x.bin"', "12345"],
]
  .map(
    ([name, more, content]) =>
      `--x\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`,
  )
  .join("");

/** Requests, and what says that the plugin has done its work. */
export const pluginRequests: readonly (readonly [
  what: string,
  asked: Partial<Asked> & Pick<Asked, "path">,
  check: (answer: Answer) => unknown,
])[] = [
  [
    "cors: an rpc",
    { path: "/test/v1/echo/a", headers: origin },
    ({ headers }) => headers["access-control-allow-credentials"],
  ],
  [
    "cors: a route",
    { path: "/own/long", headers: origin },
    ({ headers }) => headers["access-control-allow-origin"],
  ],
  [
    "cors: a preflight",
    {
      method: "OPTIONS",
      path: "/test/v1/echo",
      headers: { ...origin, "access-control-request-method": "POST" },
    },
    ({ status, headers }) => status === 204 && headers["access-control-allow-methods"],
  ],
  [
    "cors: another origin",
    { path: "/test/v1/echo/a", headers: { origin: "https://evil.example" } },
    ({ headers }) => headers["access-control-allow-origin"] === undefined,
  ],
  ["helmet: an rpc", { path: "/test/v1/echo/a" }, ({ headers }) => headers["content-security-policy"]],
  [
    "helmet: an error",
    { path: "/nothing" },
    ({ status, headers }) => status === 404 && headers["x-content-type-options"] === "nosniff",
  ],
  [
    "compress: a route",
    { path: "/own/long", headers: { "accept-encoding": "gzip" } },
    ({ headers, body }) => headers["content-encoding"] === "gzip" && textOf(headers, body).length > 1000,
  ],
  [
    "compress: an rpc",
    { path: `/test/v1/echo/${"a".repeat(1000)}`, headers: { "accept-encoding": "gzip" } },
    ({ status }) => status === 200,
  ],
  [
    "compress: a stream",
    { path: "/test/v1/repeat/a?count=100", headers: { "accept-encoding": "gzip" } },
    ({ status }) => status === 200,
  ],
  [
    "cookie: set and read",
    { path: "/own/cookies", headers: { cookie: "x=1; y=2" } },
    ({ headers, body }) => headers["set-cookie"] !== undefined && body.toString().includes('"y":"2"'),
  ],
  [
    "multipart: a file and a field",
    {
      method: "POST",
      path: "/own/parts",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: `${form}--x--\r\n`,
    },
    ({ body }) => body.toString() === '["a","f","5"]',
  ],
  ["static: a file", { path: "/files/page.txt" }, ({ status, headers }) => status === 200 && headers["etag"]],
  [
    "static: a range",
    { path: "/files/page.txt", headers: { range: "bytes=1-3" } },
    ({ status, body }) => status === 206 && body.length === 3,
  ],
  [
    "static: HEAD",
    { method: "HEAD", path: "/files/page.txt" },
    ({ status, headers }) => status === 200 && headers["content-length"],
  ],
  ["static: no file", { path: "/files/nothing.txt" }, ({ status }) => status === 404],
  ["static: out of its folder", { path: "/files/..%2f..%2fpackage.json" }, ({ status }) => status >= 400],
  [
    "under-pressure: its route",
    { path: "/status" },
    ({ status, body }) => status === 200 && body.toString().includes("ok"),
  ],
  [
    "rate-limit: an rpc",
    { path: "/test/v1/echo/a" },
    ({ headers }) => headers["x-ratelimit-limit"] === "1000",
  ],
  ["rate-limit: too many", { path: "/own/limited" }, ({ status }) => status === 429],
  [
    "all: a call with a body",
    {
      method: "POST",
      path: "/test/v1/echo",
      headers: { "content-type": "application/json" },
      body: '{"text":"b"}',
    },
    ({ body }) => body.toString().includes('"text":"b"'),
  ],
  [
    "all: a call that fails",
    { path: "/test/v1/echo/a?behaviour.failure.code=5" },
    ({ status }) => status === 404,
  ],
  [
    "all: Connect",
    {
      method: "POST",
      path: "/tsms.test.v1.EchoService/Echo",
      headers: { "content-type": "application/json", "connect-protocol-version": "1" },
      body: "{}",
    },
    ({ status }) => status === 200,
  ],
];
