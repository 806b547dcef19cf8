import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { http3 } from "../../src/entries/http3.ts";
import { GrpcServer, HttpServer, type ServerTlsOptions } from "../../src/index.ts";
import { conformanceService } from "./conformance-service.ts";
import { loadContract, type ServerRequest, type ServerResponse } from "./contract.ts";
import { framed, framedMessages } from "./framed-messages.ts";

/**
 * The server under test. Arguments: the folder of the generated contract, and the kind of server:
 *
 * - `one-port`: REST, Connect, gRPC-Web and gRPC on one port, the implementation in the same process
 * - `gateway`: the same port, in front of a `GrpcServer` that is called over the network
 * - `http3`: as `one-port`, by its UDP port
 * - `grpc`: the port of a `GrpcServer` on its own engine
 * - `grpc-js`: the same on grpc-js
 */
const [folder = "", kind = ""] = process.argv.slice(2);
const isGrpc = kind === "grpc" || kind === "grpc-js";
const contract = await loadContract(folder);
const ServerRequestSchema = contract.message<ServerRequest>("ServerCompatRequest");
const ServerResponseSchema = contract.message<ServerResponse>("ServerCompatResponse");

process.on("SIGTERM", () => process.exit(0));
for await (const bytes of framedMessages(process.stdin)) {
  const request = fromBinary(ServerRequestSchema, bytes);
  const pemCert = request.useTls ? request.serverCreds?.cert : undefined;
  const response = { host: "127.0.0.1", port: await start(request), ...(pemCert && { pemCert }) };
  process.stdout.write(framed(toBinary(ServerResponseSchema, create(ServerResponseSchema, response))));
}

async function start(request: ServerRequest): Promise<number> {
  const limit = request.messageReceiveLimit;
  const tls = tlsOf(request);
  const service = conformanceService(contract);
  const maxMessageBytes = limit > 0 ? limit : 4 * 1024 * 1024;
  const grpc = new GrpcServer({
    port: 0,
    maxMessageBytes,
    listen: kind !== "one-port" && kind !== "http3",
    tls: isGrpc ? tls : undefined,
    engine: kind === "grpc" ? "own" : kind === "grpc-js" ? kind : "auto",
    compressReplies: true,
    defaultTimeoutMs: 0, // The suite sets all deadlines.
  }).addService(service);
  await grpc.start();
  if (isGrpc) return grpc.address?.port ?? 0;
  const http = new HttpServer({
    port: 0,
    tls,
    upstream: grpc,
    dial: kind === "gateway" ? "network" : "in-process",
    grpc: kind === "gateway" ? undefined : grpc,
    ...(kind === "http3" && { http3: http3({ port: 0, maxStreams: 1000 }) }),
    maxBodyBytes: maxMessageBytes,
    registry: contract.registry,
    // Some requests of the suite are REST here, and the suite would interpret our JSON errors as those of its
    // protocols.
    errorFormat: ({ rawMessage }) => ({ contentType: "text/plain", body: rawMessage }),
    defaultTimeoutMs: 0,
  }).addService(service);
  await http.start();
  return (kind === "http3" ? http.http3Address : http.address)?.port ?? 0;
}

function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerRequest): ServerTlsOptions | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  return {
    cert: Buffer.from(serverCreds.cert),
    key: Buffer.from(serverCreds.key),
    ...(clientTlsCert.length === 0
      ? {}
      : { ca: Buffer.from(clientTlsCert), clientCertificates: "required" as const }),
  };
}
