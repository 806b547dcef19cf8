/**
 * An HTTP/2 client alone, without messages: the engine of this library (`own`) or `node:http2` (`node`). Further
 * arguments: address of the server, what it calls (`EngineCall`), and for TLS the server's certificate.
 */
import { hash } from "node:crypto";
import { connect as connectByNode } from "node:http2";
import { once } from "node:events";
import { clientHttp2Defaults, keepaliveDefaults } from "../../src/core/http2/client-http2-options.ts";
import { connectToAny } from "../../src/core/http2/connect.ts";
import { RequestHead, type StreamListener } from "../../src/core/http2/session.ts";
import { clientTls } from "../../src/core/net/client-tls.ts";
import { parseTarget } from "../../src/core/net/target.ts";
import { grpcBytes } from "../load/grpc-work.ts";
import { engineWork, type EngineCall } from "../engine-works.ts";
import { repeatAsync, takePart } from "./take-part.ts";

const [engine = "", target = "", size = "", ca] = process.argv.slice(2);
const secure = ca !== undefined;
const { grpc, answerBytes, width, units } = engineWork(size as EngineCall); // The bench gives no other.
const request = grpcBytes(grpc.request);
const answer = size === "small" ? grpcBytes(grpc.answer) : undefined;
const fields = {
  ":method": "POST",
  ":scheme": secure ? "https" : "http",
  ":path": grpc.path,
  ":authority": target,
  te: "trailers",
  "content-type": "application/grpc",
  "user-agent": "bench",
};

/** Makes one call and reports the bytes of its reply as they come; resolves at its successful end. */
type Call = (onData: (chunk: Buffer) => void) => Promise<void>;

async function ownCalls(): Promise<Call> {
  const connected = await connectToAny(parseTarget(target), "own", {
    tls: secure ? clientTls({ ca }) : undefined,
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    keepalive: { ...keepaliveDefaults, timeMs: 0 },
    http2: clientHttp2Defaults,
  });
  const session = connected.start({
    onCapacity() {},
    onRetired: () => process.exit(1),
    onGoaway() {},
    onTooManyPings() {},
    onAging() {},
  });
  const head = new RequestHead(Object.entries(fields).flat(), []);
  return (onData) =>
    new Promise((resolve, reject) => {
      let status: unknown;
      const listener: StreamListener = {
        onResponse() {},
        onData,
        onTrailers: (trailers) => (status = trailers["grpc-status"]),
        onDrain() {},
        onClose: () => (String(status) === "0" ? resolve() : reject(new Error("a call has failed"))),
      };
      session.open(head, listener).end(request);
    });
}

async function nodeCalls(): Promise<Call> {
  // The windows of our engine.
  const session = connectByNode(`${secure ? "https" : "http"}://${target}`, {
    ...(secure ? { ca } : {}),
    settings: { initialWindowSize: 262_144, enablePush: false },
  });
  session.on("close", () => process.exit(1));
  await once(session, "connect");
  session.setLocalWindowSize(2 ** 31 - 1);
  return (onData) =>
    new Promise((resolve, reject) => {
      let status: unknown;
      const stream = session.request(fields);
      stream.on("data", onData);
      stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
      stream.on("error", reject);
      stream.on("end", () => (String(status) === "0" ? resolve() : reject(new Error("a call has failed"))));
      stream.end(request);
    });
}

const call = engine === "own" ? await ownCalls() : await nodeCalls();

/** One call, whose reply is compared if it is small, and whose length is checked. */
async function checkedCall(): Promise<void> {
  let bytes = 0;
  await call((chunk) => {
    if (answer !== undefined && chunk.compare(answer, bytes, bytes + chunk.length) !== 0) bytes = Number.NaN;
    bytes += chunk.length;
  });
  if (bytes !== answerBytes) throw new Error("a wrong answer");
}

takePart({
  work: async (ms) => (await repeatAsync(ms, width, checkedCall)) * units,
  call: checkedCall,
  sample: async () => {
    const chunks: Buffer[] = [];
    await call((chunk) => chunks.push(Buffer.from(chunk)));
    return JSON.stringify(hash("sha256", Buffer.concat(chunks)));
  },
});
