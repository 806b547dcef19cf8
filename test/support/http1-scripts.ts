import * as fc from "fast-check";

/** What a client sends on one connection, in pieces that reach the server one by one. */
export interface Script {
  readonly pieces: readonly Buffer[];
  /** How many requests those are, with the last one. */
  readonly requests: number;
}

/** Requests of one script at most, without the last one. */
const maxRequests = 5;

const json = "application/json";
const rpc = "/tsms.test.v1.EchoService";

/** Wraps the last request of every script, which ends the connection. */
const last = request("GET", "/livez", ["Connection: close"]);

function request(method: string, target: string, fields: readonly string[] = [], body?: string): Buffer {
  const bytes = Buffer.from(body ?? "");
  const length = body === undefined ? [] : [`Content-Length: ${bytes.length}`];
  const lines = [`${method} ${target} HTTP/1.1`, "Host: x", ...fields, ...length];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]);
}

function chunked(target: string, fields: readonly string[], chunks: readonly string[]): Buffer {
  const head = `POST ${target} HTTP/1.1\r\nHost: x\r\n${fields.map((line) => `${line}\r\n`).join("")}`;
  const body = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
  return Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${body.join("")}0\r\n\r\n`);
}

/** Fields that a request may have or not. */
const extraFields = fc.subarray(
  [
    "Accept: */*",
    "User-Agent: test/1.0",
    "Authorization: Bearer a.b.c",
    "x-request-id: 17",
    "X-Request-Id: 18",
    "Cookie: a=1",
    "cookie: b=2",
    "Accept-Language: de, en;q=0.5",
    "Origin: https://app.example.com",
    "Accept-Encoding: gzip, br",
    'If-None-Match: "a"',
    "X-Server-Timeout: x",
    "X-Latin: \u00e9\u00ff",
    "__proto__: a",
    "constructor: b",
    "X-Empty:",
    "X-Spaces: \t a \t ",
    "Connection: keep-alive",
    "Keep-Alive: timeout=5",
  ],
  { maxLength: 5 },
);

/** Paths and queries, good and bad, for GET of the echo. */
const echoTarget = fc
  .tuple(
    fc.constantFrom(
      "a",
      "a%20b",
      "%C3%A9",
      "a.b~c",
      "\u0021*'()",
      "a:b",
      "%zz",
      "%ff",
      "..",
      "%2e%2e",
      "a%2Fb",
      "a/b",
      "",
    ),
    fc.constantFrom(
      "",
      "?",
      "?number=7",
      "?number=x",
      "?payload=aGk",
      "?text=b",
      "?unknown=1",
      "?number=1&number=2",
      "?a=%zz",
    ),
  )
  .map(([text, query]) => `/test/v1/echo/${text}${query}`);

const behaviours: readonly object[] = [
  {},
  { number: "12", payload: "aGVsbG8=" },
  { text: "\u00e9\u{1f600}" },
  { text: "a".repeat(3000) },
  { behaviour: { headers: { "x-a": "b", "x-http-status": "201" } } },
  { behaviour: { headers: { "x-http-status": "204" } } },
  { behaviour: { trailers: { "x-t": "1" }, reflectHeaders: ["x-request-id"] } },
  { behaviour: { failure: { code: 5, message: "not here", reasons: ["GONE"], metadata: { "x-m": "n" } } } },
  { behaviour: { failure: { code: 16, message: "who?" } } },
  { behaviour: { failure: { code: 0, message: "secret" } } },
  { behaviour: { sleepMs: 3 } },
  { unknown: 1 },
];

const echoBody = fc.oneof(
  fc.constantFrom(...behaviours).map((value) => JSON.stringify({ text: "t", ...value })),
  fc.constantFrom("", "{", "[]", "null", '{"text":1}', " {} ", "{}x"),
);

const contentType = fc.constantFrom(
  `Content-Type: ${json}`,
  `content-type: ${json}`,
  `Content-Type: ${json}; charset=utf-8`,
  "Content-Type: application/proto",
  "Content-Type: text/plain",
  "Content-Type: application/grpc-web+proto",
  "Content-Type: application/connect+json",
  "Content-Type: application/grpc",
  "Content-Type: multipart/form-data; boundary=a",
);

/** Requests that the fast lane answers, beside those that only look like them. */
const usual = fc.oneof(
  fc.tuple(echoTarget, extraFields).map(([target, fields]) => request("GET", target, fields)),
  fc
    .tuple(echoBody, extraFields)
    .map(([body, fields]) => request("POST", "/test/v1/echo", [`Content-Type: ${json}`, ...fields], body)),
  fc
    .tuple(echoBody, extraFields)
    .map(([body, fields]) => request("POST", `${rpc}/Echo`, [`Content-Type: ${json}`, ...fields], body)),
  fc.tuple(echoBody, fc.constantFrom("Connect-Timeout-Ms: x", "X-B: c", "X-A: b")).map(([body, field]) => {
    return request(
      "POST",
      `${rpc}/Echo`,
      [`Content-Type: ${json}`, "Connect-Protocol-Version: 1", field],
      body,
    );
  }),
  fc
    .constantFrom("/livez", "/readyz", "/healthz", "/healthz?service=a.B", "/healthz?a=%zz")
    .chain((target) => fc.constantFrom("GET", "HEAD").map((method) => request(method, target))),
  echoTarget.map((target) => request("HEAD", target)),
);

const odd = fc.oneof(
  fc
    .tuple(echoBody, contentType, extraFields)
    .map(([body, type, fields]) => request("POST", "/test/v1/echo", [type, ...fields], body)),
  fc
    .tuple(echoBody, contentType)
    .map(([body, type]) => request("POST", `${rpc}/Echo`, [type, "Connect-Protocol-Version: 1"], body)),
  fc.constantFrom(
    request("GET", "/nothing/here"),
    request("PUT", "/test/v1/echo", [`Content-Type: ${json}`], "{}"),
    request("DELETE", "/test/v1/echo/a"),
    request("OPTIONS", "/test/v1/echo/a"),
    request("OPTIONS", "*"),
    request("OPTIONS", "/test/v1/echo/a", [
      "Origin: https://app.example.com",
      "Access-Control-Request-Method: GET",
      "Access-Control-Request-Headers: x-a",
    ]),
    request("POST", "/livez", [], "x"),
    request("POST", "/test/v1/echo"),
    request("POST", "/test/v1/echo", ["Content-Length: 0"]),
    request("POST", `${rpc}/Echo`, [
      `Content-Type: ${json}`,
      "Connect-Protocol-Version: 1",
      "Content-Length: 0",
    ]),
    request("GET", "/test/v1/echo/a", ["Content-Length: 0"]),
    request("GET", "/test/v1/repeat/a?count=3"),
    request("GET", "/test/v1/repeat/a?count=2", ["Accept: text/event-stream"]),
    request("GET", "/test/v1/echo/a", ["Accept: text/event-stream"]),
    request("GET", "/test/v1/echo/a", ["Accept: application/proto"]),
    request("GET", "/test/v1/echo/a", ["TE: trailers"]),
    request("GET", `${rpc}/Echo?connect=v1&encoding=json&message=%7B%7D`),
    request("POST", `${rpc}/Nothing`, [`Content-Type: ${json}`, "Connect-Protocol-Version: 1"], "{}"),
    request("POST", "/test/v1/collect", [`Content-Type: ${json}`], '[{"text":"a"},{"text":"b"}]'),
    request("POST", "/test/v1/echo", [`Content-Type: ${json}`, "Content-Encoding: gzip"], "x"),
    request("POST", "/test/v1/echo", [`Content-Type: ${json}`, "Content-Encoding: foo"], "x"),
    request("POST", "/test/v1/echo", [`Content-Type: ${json}`], JSON.stringify({ text: "b".repeat(25_000) })),
    request("GET", `/test/v1/echo/${"a".repeat(8300)}`),
    request("GET", "/test/v1/echo/a", [`X-Long: ${"b".repeat(17_000)}`]),
    request(
      "GET",
      "/test/v1/echo/a",
      Array.from({ length: 120 }, (_, index) => `x-${index}: y`),
    ),
    request("GET", "/test/v1/echo/a", [`X-Long: ${"b".repeat(3000)}`]),
    request("GET", "/test/v1/echo/a%00b"),
    request("GET", "//test/v1/echo/a"),
    request("TRACE", "/test/v1/echo/a"),
    chunked("/test/v1/echo", [`Content-Type: ${json}`], ['{"text":', '"a"}']),
    request("POST", "/test/v1/echo", [`Content-Type: ${json}`, "Expect: 100-continue"], "{}"),
    request("GET", "/test/v1/echo/a", ["Upgrade: h2c", "HTTP2-Settings: a"]),
  ),
);

/** Changes of a head that make it wrong, or mean something else. */
const hostileLines = [
  "Content-Length: 3\r\nContent-Length: 4",
  "Content-Length: 3\r\nContent-Length: 3",
  "Content-Length: +2",
  "Content-Length: 2 3",
  "Content-Length: -1",
  "Content-Length: 0x2",
  "Content-Length: 99999999999999999999",
  "Content-Length: 5\r\nTransfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "Transfer-Encoding:\tchunked",
  "Transfer-Encoding: identity",
  "X-A: b\r\n folded",
  "X-A : b",
  "X-A: b\nX-B: c",
  "X-A: b\rX-B: c",
  "X-A: \0",
  "X-A: \u007f",
  "Host: y",
  "Host: x",
  "Expect: 200-ok",
  "Connection: close, x",
  "Connection: upgrade",
  "Connection: close\r\nConnection: keep-alive",
  "Connection: x-request-id",
  "Proxy-Connection: close",
  "Proxy-Connection: keep-alive",
  "Trailer: x",
  "Upgrade: websocket",
  ": no name",
  "no colon",
  "\u00e9: a",
  "Keep-Alive: max=1",
];

const hostileStarts = [
  "GET /test/v1/echo/a\r\n\r\n",
  "GET /test/v1/echo/a HTTP/2.0\r\nHost: x\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.0\r\nHost: x\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\r\nHost:\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\r\nHost: a b\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\r\nHOST:x:80\r\n\r\n",
  "GET http://x/test/v1/echo/a HTTP/1.1\r\nHost: y\r\n\r\n",
  "GET /test/v1/echo/a HTTP/1.1\nHost: x\n\n",
  "\r\nGET /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET  /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET /test/v1/echo/a#b HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET test/v1/echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
  "get /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
  "FOO /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
  "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
  "\u0016\u0003\u0001\u0002",
  "\0\0\0\0",
];

const hostile = fc.oneof(
  fc.tuple(usual, fc.constantFrom(...hostileLines)).map(([bytes, line]) => {
    const at = bytes.indexOf("\r\n") + 2;
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(`${line}\r\n`, "latin1"), bytes.subarray(at)]);
  }),
  fc.constantFrom(...hostileStarts).map((text) => Buffer.from(text, "latin1")),
  // One byte is another one, is left out or added.
  fc
    .tuple(usual, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat({ max: 2 }))
    .map(([bytes, place, byte, kind]) => {
      const at = place % bytes.length;
      const left = kind === 0 ? bytes.subarray(at) : bytes.subarray(at + 1);
      const added = kind === 2 ? [] : [byte];
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(added), left]);
    }),
  fc.tuple(usual, fc.nat()).map(([bytes, length]) => bytes.subarray(0, length % bytes.length)),
);

const series = fc.array(
  fc.oneof({ weight: 5, arbitrary: usual }, { weight: 3, arbitrary: odd }, { weight: 3, arbitrary: hostile }),
  { minLength: 1, maxLength: maxRequests },
);

/** Where to cut: nowhere, at some bytes, or behind every byte of a short script. */
const cuts = fc.oneof(
  { weight: 5, arbitrary: fc.constant<"none">("none") },
  { weight: 4, arbitrary: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant<"all">("all") },
);

/** Requests of every kind, cut and joined, with a last one that ends the connection. */
export const scripts: fc.Arbitrary<Script> = fc.tuple(series, cuts).map(([all, where]) => {
  const bytes = Buffer.concat([...all, last]);
  const requests = all.length + 1;
  if (where === "none") return { pieces: [bytes], requests };
  const short = bytes.length <= 300;
  const places =
    where === "all"
      ? Array.from({ length: bytes.length - 1 }, (_, index) => index + 1).filter(
          (at) => short || at % 97 === 0,
        )
      : where.map((place) => place % bytes.length);
  const ends = [...new Set(places)].sort((one, other) => one - other);
  const pieces = [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
  return { pieces: pieces.filter((piece) => piece.length > 0), requests };
});
