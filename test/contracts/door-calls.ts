import type { JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Call } from "../support/door-clients.ts";

/** Headers and trailers that a reply has. */
export const metadata = {
  headers: { "x-header": "h, i", "x-bytes-bin": "AP8" },
  trailers: { "x-trailer": "t", "x-more-bin": "AQID" },
};

function failing(after: number): JsonObject {
  const failure = {
    code: Code.NotFound,
    message: "m – 100 % / é",
    reasons: ["A", "B"],
    metadata: { "x-own": "o" },
    after,
  };
  return { ...metadata, failure };
}

const texts = [{ text: "a" }, { text: "zwölf 😀" }, { text: "", payload: "AP8KDQ==" }];

/** The calls whose outcome is the same through every door, by their names. */
export const doorCalls: Readonly<Record<string, Call>> = {
  "a message with text, bytes and a large integer": {
    rpc: "echo",
    requests: [{ text: "zwölf 😀 \u0000", payload: "AP8KDQ==", number: "-9007199254740993" }],
  },
  "an empty message": { rpc: "echo", requests: [{}] },
  "headers and trailers": { rpc: "echo", requests: [{ text: "m", behaviour: metadata }] },
  "a large message": { rpc: "echo", requests: [{ text: "x".repeat(300_000) }] },
  ...Object.fromEntries(
    Object.values(Code)
      .filter((code) => typeof code === "number")
      .map((code) => [
        `an error of code ${Code[code]}`,
        {
          rpc: "echo",
          requests: [{ behaviour: { failure: { code, message: `${Code[code]} – 100 % / é` } } }],
        },
      ]),
  ),
  "an error with details, headers, trailers and metadata": {
    rpc: "echo",
    requests: [{ behaviour: failing(0) }],
  },
  "an exception that nobody planned": {
    rpc: "echo",
    requests: [{ behaviour: { failure: { message: "secret" } } }],
  },
  "a stream of replies": { rpc: "repeat", requests: [{ text: "r", payload: "AP8KDQ==", count: 3 }] },
  "a stream of no reply": { rpc: "repeat", requests: [{ text: "r" }] },
  "a stream of replies with headers and trailers": {
    rpc: "repeat",
    requests: [{ text: "r", count: 2, behaviour: metadata }],
  },
  "a stream of replies that fails before the first": {
    rpc: "repeat",
    requests: [{ text: "r", count: 2, behaviour: failing(0) }],
  },
  "a stream of replies that fails after the second": {
    rpc: "repeat",
    requests: [{ text: "r", count: 3, behaviour: failing(2) }],
  },
  "a stream of replies with an exception that nobody planned": {
    rpc: "repeat",
    requests: [{ text: "r", count: 3, behaviour: { failure: { message: "secret", after: 1 } } }],
  },
  "a stream of requests": { rpc: "collect", requests: texts },
  "a stream of no request": { rpc: "collect", requests: [] },
  "a stream of requests with headers and trailers": {
    rpc: "collect",
    requests: [{ ...texts[0], behaviour: metadata }, ...texts],
  },
  "a stream of requests that fails at its end": {
    rpc: "collect",
    requests: [{ ...texts[0], behaviour: failing(9) }, ...texts],
  },
  "both streams": { rpc: "chat", requests: texts },
  "both streams, empty": { rpc: "chat", requests: [] },
  "both streams with headers and trailers": {
    rpc: "chat",
    requests: [{ ...texts[0], behaviour: metadata }, ...texts],
  },
  "both streams, failing after the second reply": {
    rpc: "chat",
    requests: [{ ...texts[0], behaviour: failing(2) }, ...texts],
  },
};

/** Calls that a client cannot make. */
export function isBeyond(client: string, { rpc, requests }: Call): boolean {
  if (!client.startsWith("Connect GET")) return false;
  return rpc !== "echo" || JSON.stringify(requests).length > 2000; // A target has a limit.
}
