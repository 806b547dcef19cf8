import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient, type Client } from "../../src/core/call/client.ts";
import { dial, type DialedTransport, type DialOptions } from "../../src/core/dial.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/core/grpc-server.ts";
import { proxy } from "../../src/core/call/proxy.ts";
import type { PartialService } from "../../src/core/call/service.ts";
import { createCertificate } from "./certificates.ts";
import { Echo } from "./echo-service.ts";
import { testEngine } from "./test-engine.ts";

/** What a test of calls works with: a server, and a client that reaches it in one of the ways there are. */
export interface Rig {
  readonly server: GrpcServer;
  /** The service, unless the test brings its own. */
  readonly echo: Echo;
  readonly client: Client<typeof EchoService>;
  readonly transport: DialedTransport;
  /** Protocol that handlers see. */
  readonly protocol: string;
  /** A further transport to the same server. */
  dial(options?: Partial<DialOptions>): DialedTransport;
}

/** What a test wants to be different. */
export interface RigOptions {
  readonly service?: PartialService<typeof EchoService>;
  readonly server?: Partial<GrpcServerOptions>;
  readonly dial?: Partial<DialOptions>;
}

/** Makes a rig that ends with the test. */
export type MakeRig = (options?: RigOptions) => Promise<Rig>;

/** One way of a call. */
interface Way {
  readonly name: string;
  readonly server: () => Partial<GrpcServerOptions>;
  readonly dial: Partial<DialOptions>;
  /** Whether the server that is called passes calls on to another one, which has the service. */
  readonly byProxy?: true;
}

export const authority = createCertificate({ name: "test authority" });
export const serverCertificate = createCertificate({
  name: "server",
  hosts: ["localhost", "127.0.0.1"],
  issuer: authority,
});
export const clientCertificate = createCertificate({ name: "client", issuer: authority });

const tls = { cert: serverCertificate.cert, key: serverCertificate.key };

const overNetwork: readonly Way[] = [
  { name: "network", server: () => ({}), dial: { network: true } },
  { name: "unix socket", server: () => ({ host: `unix:${socketPath()}` }), dial: { network: true } },
  { name: "TLS", server: () => ({ tls }), dial: { network: true, tls: { ca: authority.cert } } },
  {
    name: "mutual TLS",
    server: () => ({ tls: { ...tls, ca: authority.cert, clientCertificates: "required" } }),
    dial: {
      network: true,
      tls: { ca: authority.cert, cert: clientCertificate.cert, key: clientCertificate.key },
    },
  },
];

const ways: readonly Way[] = [
  { name: "in process", server: () => ({}), dial: { network: false } },
  ...overNetwork,
  { name: "by a proxy", server: () => ({}), dial: { network: true }, byProxy: true },
];

/** Runs one test once for every way to reach a server; all must behave the same. */
export function everyWay(name: string, body: (make: MakeRig, t: TestContext) => Promise<void>): void {
  testOn(ways, name, body);
}

/** As `everyWay`, without ways on which the client's server is not the one that has the service. */
export function everyDirectWay(name: string, body: (make: MakeRig, t: TestContext) => Promise<void>): void {
  testOn(
    ways.filter(({ byProxy }) => byProxy !== true),
    name,
    body,
  );
}

function testOn(
  some: readonly Way[],
  name: string,
  body: (make: MakeRig, t: TestContext) => Promise<void>,
): void {
  for (const way of some) {
    test(`${name} (${way.name})`, { timeout: 30_000 }, (t) => body((options) => makeRig(t, way, options), t));
  }
}

async function makeRig(t: TestContext, way: Way, options: RigOptions = {}): Promise<Rig> {
  const echo = new Echo();
  const server = new GrpcServer({ port: 0, logger: false, ...way.server(), ...options.server });
  const dialled: DialedTransport[] = [];
  const implementation = options.service ?? echo;
  let behind: GrpcServer | undefined;
  if (way.byProxy === true) {
    const behindIt = { ...options.server, interceptors: [] }; // Those are the front's.
    behind = new GrpcServer({ port: 0, logger: false, ...behindIt }).addService(implementation);
    await behind.start();
    const upstream = dial(behind, { ...testEngine, network: true });
    dialled.push(upstream);
    server.addService(proxy(EchoService, upstream));
  } else server.addService(implementation);
  await server.start();
  const dialAgain = (more: Partial<DialOptions> = {}): DialedTransport => {
    const transport = dial(server, { ...testEngine, ...way.dial, ...more });
    dialled.push(transport);
    return transport;
  };
  t.after(async () => {
    for (const transport of dialled) transport.close();
    await server.gracefulStop({ graceMs: 0 });
    await behind?.gracefulStop({ graceMs: 0 });
  });
  const transport = dialAgain(options.dial);
  return {
    server,
    echo,
    transport,
    client: createClient(EchoService, transport),
    protocol: way.dial.network === true ? "grpc" : "in-process",
    dial: dialAgain,
  };
}

let folder: string | undefined;
let sockets = 0;

/** A path for a socket that goes with the process; such paths must be short. */
function socketPath(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "ts-ms-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return join(folder, String(sockets++));
}
