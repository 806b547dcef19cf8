import { create, fromBinary, toBinary, type Message } from "@bufbuild/protobuf";
import { dial, type DialedTransport } from "../../src/index.ts";
import { CallRunner, type Outcome } from "./call-runner.ts";
import { loadContract, type ClientRequest, type Header, type Payload } from "./contract.ts";
import { framed, framedMessages } from "./framed-messages.ts";

interface ClientTls {
  ca: Uint8Array;
  cert?: Uint8Array;
  key?: Uint8Array;
}

/**
 * The client under test: calls by the transports of `dial`, over gRPC. The arguments are the folder of the contract and
 * the engine of HTTP/2.
 */
const contract = await loadContract(process.argv[2] ?? "");
const engine = process.argv[3] === "node" ? "node" : "own";
/** `COMPRESSION_GZIP`. */
const gzip = 2;

const ClientRequestSchema = contract.message<ClientRequest>("ClientCompatRequest");
const ClientResponseSchema = contract.message<ClientResponse>("ClientCompatResponse");

type ClientResponse = Message<"connectrpc.conformance.v1.ClientCompatResponse"> & {
  testName: string;
  result:
    | { case: "response"; value: Result }
    | { case: "error"; value: Message<"connectrpc.conformance.v1.ClientErrorResult"> & { message: string } };
};

type Result = Message<"connectrpc.conformance.v1.ClientResponseResult"> & {
  responseHeaders: Header[];
  payloads: Payload[];
  error?: Message;
  responseTrailers: Header[];
  numUnsentRequests: number;
};

const transports = new Map<string, DialedTransport>();

// The runner sends all requests at once: calls in a queue would exceed their deadlines.
const requests = framedMessages(process.stdin);
const alive = setInterval(() => {}, 10_000); // A pending connection does not keep the process alive.
await Promise.all(
  Array.from({ length: 4 }, async () => {
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      await answer(fromBinary(ClientRequestSchema, next.value));
    }
  }),
);
clearInterval(alive);
for (const transport of transports.values()) transport.close();

async function answer(request: ClientRequest): Promise<void> {
  const { testName } = request;
  let result: object;
  try {
    result = { case: "response", value: await call(request) };
  } catch (error) {
    result = { case: "error", value: { message: error instanceof Error ? error.stack : String(error) } };
  }
  // Code generated at run time has no types here.
  const response = create(ClientResponseSchema, { testName, result } as object);
  process.stdout.write(framed(toBinary(ClientResponseSchema, response)));
}

async function call(request: ClientRequest): Promise<Outcome> {
  const method = contract.service.methods.find(({ name }) => name === request.method);
  if (method === undefined) throw new Error(`there is no rpc ${request.method}`);
  const transport = transportOf(request);
  await transport.ready();
  const runner = new CallRunner(request, method, contract.registry);
  return method.methodKind === "unary" ? runner.unary(transport) : runner.stream(transport);
}

/** One connection for all calls to a server. */
function transportOf(request: ClientRequest): DialedTransport {
  const { host, port, compression, messageReceiveLimit, clientTlsCreds } = request;
  const key = [port, compression, messageReceiveLimit, clientTlsCreds !== undefined].join(" ");
  let transport = transports.get(key);
  if (transport === undefined) {
    transport = dial(`${host}:${port}`, {
      engine,
      tls: tlsOf(request),
      compression: compression === gzip ? "gzip" : "none",
      ...(messageReceiveLimit > 0 ? { maxMessageBytes: messageReceiveLimit } : {}),
    });
    transports.set(key, transport);
  }
  return transport;
}

function tlsOf({ serverTlsCert, clientTlsCreds }: ClientRequest): boolean | ClientTls {
  if (serverTlsCert.length === 0) return false;
  return clientTlsCreds === undefined ? { ca: serverTlsCert } : { ca: serverTlsCert, ...clientTlsCreds };
}
