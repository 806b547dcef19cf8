import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { StopReport } from "../../../src/core/lifecycle/lifecycle.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { createCertificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { testServerEngine } from "../../support/test-engine.ts";

const certificate = createCertificate({ name: "self", hosts: ["127.0.0.1"] });

/** How the servers of a stop test listen. */
export interface Port {
  readonly name: string;
  readonly tls: boolean;
  /** Whether gRPC and HTTP share a port. */
  readonly one: boolean;
}

/** Every way to listen that a stop has to be right on. */
export const ports: readonly Port[] = [
  { name: "two plain ports", tls: false, one: false },
  { name: "one plain port", tls: false, one: true },
  { name: "two ports with TLS", tls: true, one: false },
  { name: "one port with TLS", tls: true, one: true },
];

/** An `HttpServer` and the `GrpcServer` behind it, with clients that go to their ports. */
export interface Servers {
  readonly http: HttpServer;
  readonly grpc: GrpcServer;
  readonly echo: Echo;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** `http` or `https`, and the host. */
  readonly origin: string;
  /** The file of the certificate that is trusted, for tools. */
  readonly caFile: string;
  readonly ca: string | undefined;
  /** A session by HTTP/2, which bears being cut. */
  session(port: number): ClientHttp2Session;
  /** A client's transport on a connection of its own. */
  transport(protocol: "connect" | "grpc-web" | "grpc", httpVersion: "1.1" | "2"): Transport;
  /** Stops both, the gateway first, as programs do. */
  stop(graceMs?: number): Promise<StopReport>;
}

/** Starts both servers with the echo service, on ports of the system's choice. */
export async function startServers(t: TestContext, { tls: secure, one }: Port): Promise<Servers> {
  const echo = new Echo();
  const tls = secure ? certificate : undefined;
  const grpc = new GrpcServer({ port: 0, listen: !one, tls });
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    tls,
    ...testServerEngine,
    ...(one ? { grpc } : {}),
  });
  grpc.addService(echo);
  http.addService(echo);
  await grpc.start();
  await http.start();
  const folder = mkdtempSync(join(tmpdir(), "stop-"));
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, certificate.cert);
  const httpPort = http.address?.port ?? 0;
  const grpcPort = grpc.address?.port ?? httpPort;
  const origin = `${secure ? "https" : "http"}://127.0.0.1`;
  const ca = secure ? certificate.cert : undefined;
  const stop = async (graceMs = 20_000): Promise<StopReport> => {
    const end = performance.now() + graceMs;
    const first = await http.gracefulStop({ graceMs });
    const second = await grpc.gracefulStop({ graceMs: Math.max(0, end - performance.now()) });
    return {
      finished: first.finished + second.finished,
      notified: [...first.notified, ...second.notified],
      cut: [...first.cut, ...second.cut],
    };
  };
  t.after(async () => {
    await stop(0);
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    http,
    grpc,
    echo,
    httpPort,
    grpcPort,
    origin,
    caFile,
    ca,
    session(port) {
      const session = connectHttp2(`${origin}:${port}`, { ca });
      session.on("error", () => {});
      t.after(() => session.destroy());
      return session;
    },
    transport(protocol, httpVersion) {
      const baseUrl = `${origin}:${protocol === "grpc" ? grpcPort : httpPort}`;
      const nodeOptions = { ca };
      if (httpVersion === "1.1") {
        const create = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
        return create({ baseUrl, httpVersion, nodeOptions });
      }
      const sessionManager = new Http2SessionManager(baseUrl, undefined, nodeOptions);
      t.after(() => sessionManager.abort());
      if (protocol === "grpc") return createGrpcTransport({ baseUrl, sessionManager });
      const create = protocol === "connect" ? createConnectTransport : createGrpcWebTransport;
      return create({ baseUrl, httpVersion, sessionManager });
    },
    stop,
  };
}
