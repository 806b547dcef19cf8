import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Authenticator } from "../../../src/core/security/authenticator.ts";
import { principal } from "../../../src/core/security/principal.ts";
import type { AuthOptions } from "../../../src/core/security/security-options.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";

/** Answers with who has called. */
export class WhoAmI implements PartialService<typeof EchoService> {
  readonly descriptor = EchoService;
  /** Calls that have reached a handler. */
  calls = 0;

  echo(_request: object, context: HandlerContext): { text: string } {
    this.calls++;
    return { text: principal(context)?.id ?? "anonymous" };
  }

  async *repeat(_request: object, context: HandlerContext): AsyncGenerator<{ text: string }> {
    this.calls++;
    yield { text: principal(context)?.id ?? "anonymous" };
    await sleep(60_000, undefined, { signal: context.signal });
  }
}

/** A gRPC server and a gateway before it in one process, both with the gate of authentication. */
export class Guarded implements AsyncDisposable {
  readonly service: WhoAmI;
  readonly auth: Authenticator;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;

  private constructor(service: WhoAmI, auth: Authenticator, grpc: GrpcServer, http: HttpServer) {
    this.service = service;
    this.auth = auth;
    this.grpc = grpc;
    this.http = http;
  }

  static async start(options: AuthOptions, more: Partial<HttpServerOptions> = {}): Promise<Guarded> {
    const auth = await Authenticator.open(options, () => "required");
    const service = new WhoAmI();
    const gates = [auth.gate];
    const grpc = new GrpcServer({ port: 0, gates, logger: false }).addService(service);
    const http = new HttpServer({ upstream: grpc, port: 0, gates, logger: false, ...more }).addService(
      service,
    );
    await grpc.start();
    await http.start();
    return new Guarded(service, auth, grpc, http);
  }

  /** `127.0.0.1:PORT` of the gateway. */
  get authority(): string {
    return `127.0.0.1:${this.http.address?.port}`;
  }

  /** `127.0.0.1:PORT` of the gRPC server. */
  get grpcAuthority(): string {
    return `127.0.0.1:${this.grpc.address?.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop({ graceMs: 0 });
    await this.grpc.gracefulStop({ graceMs: 0 });
    this.auth.close();
  }
}

/** What a server has answered to curl. */
export interface CurlAnswer {
  readonly status: number;
  /** Headers and trailers; names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Runs curl. */
export async function curl(...args: readonly string[]): Promise<CurlAnswer> {
  const all = ["--silent", "--include", "--max-time", "20", ...args];
  const { stdout } = await promisify(execFile)("curl", all, { encoding: "latin1", maxBuffer: 2 ** 24 });
  const text = stdout.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, "");
  const end = text.indexOf("\r\n\r\n");
  const [line = "", ...fields] = text.slice(0, end).split("\r\n");
  const headers = new Map(
    fields.map((field) => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(line.split(" ")[1]), headers, body: text.slice(end + 4) };
}
