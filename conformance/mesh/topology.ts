import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import {
  createCertificate,
  type Certificate,
  type CertificateAuthority,
} from "../../test/support/certificates.ts";
import type { Manifests } from "../deploy/manifests.ts";
import { freePort, listening } from "../listening.ts";
import { Envoy } from "./envoy.ts";
import { appCluster, inboundListener, type Inbound } from "./inbound.ts";
import { LibraryPod } from "./library-pod.ts";
import { clusterOf, outboundListener } from "./outbound.ts";

const root = join(import.meta.dirname, "../..");

/** Names of those that call, by the manifests. */
export const names = {
  gateway: "spiffe://cluster.local/ns/shop/sa/gateway",
  library: "spiffe://cluster.local/ns/shop/sa/library",
  ingress: "spiffe://cluster.local/ns/ingress/sa/ingressgateway",
  stranger: "spiffe://cluster.local/ns/other/sa/gateway",
} as const;

/** Tokens of one key. */
interface Tokens {
  /** JWKS. */
  readonly keys: string;
  readonly token: (issuer: string, audience: string) => Promise<string>;
}

/** A gateway and a library behind sidecars, which are configured by the manifests. */
export interface Mesh extends AsyncDisposable {
  readonly manifests: Manifests;
  readonly authority: CertificateAuthority;
  readonly certificates: Readonly<Record<keyof typeof names, Certificate>>;
  readonly tokens: Tokens;
  readonly stable: readonly LibraryPod[];
  readonly canary: LibraryPod;
  /** Where the gateway calls the library, by its sidecar. */
  readonly outbound: string;
  /** The sidecar of a pod of the library. */
  readonly librarySidecar: string;
  /** The sidecar of the gateway. */
  readonly gatewaySidecar: string;
  /** `:authority` of each request that the canary got. */
  readonly canaryLog: () => string[];
  /** Lines of the requests of the gateway that Telemetry wants to be logged. */
  readonly chosenLog: () => string[];
}

/** Starts three pods of the library, a canary, a gateway and their sidecars. */
export async function startMesh(manifests: Manifests): Promise<Mesh> {
  await using stack = new AsyncDisposableStack();
  const authority = createCertificate({ name: "mesh" });
  const certificate = (uri: string): Certificate =>
    createCertificate({ name: "pod", hosts: ["127.0.0.1"], uris: [uri], issuer: authority });
  const certificates = {
    gateway: certificate(names.gateway),
    library: certificate(names.library),
    ingress: certificate(names.ingress),
    stranger: certificate(names.stranger),
  };
  const tokens = await makeTokens();
  const stable = [];
  for (const name of ["one", "two", "three"]) stable.push(stack.use(await LibraryPod.start(name)));
  const canary = stack.use(await LibraryPod.start("canary"));
  const outbound = await freePort();
  const gateway = stack.use(await GatewayProgram.start(manifests, outbound, tokens.keys));
  const pods: Inbound[] = [];
  for (const pod of [...stable, canary]) {
    const version = pod === canary ? "canary" : "stable";
    const more = pod === canary ? { log: "canary.log" } : {};
    pods.push({ ...(await podOf("library", version, tokens.keys)), name: pod.name, app: pod.port, ...more });
  }
  const edge = {
    ...(await podOf("gateway", "stable", tokens.keys)),
    app: gateway.port,
    chosenLog: "chosen.log",
  };
  const rule = manifests.named("DestinationRule", "library");
  const routes = manifests.named("VirtualService", "library");
  if (rule === undefined || routes === undefined)
    throw new Error("the manifests have no routes of the library");
  const inside = [...pods, edge];
  const inbound = stack.use(
    await Envoy.start(
      inside.map(({ port }) => port),
      (folder) => ({
        listeners: inside.map((pod) =>
          inboundListener(inFolder(pod, folder), manifests, {
            certificate: pod === edge ? certificates.gateway : certificates.library,
            authority,
            peer: "", // Any of the mesh: who may call what is for the policies to say.
          }),
        ),
        clusters: inside.map(appCluster),
      }),
    ),
  );
  const identity = { certificate: certificates.gateway, authority, peer: names.library };
  const ports = pods.map(({ port }) => port);
  stack.use(
    await Envoy.start([outbound], () => ({
      listeners: [outboundListener(outbound, routes)],
      clusters: [
        clusterOf({ name: "stable", ports: ports.slice(0, -1) }, rule, identity),
        clusterOf({ name: "canary", ports: ports.slice(-1) }, rule, identity),
      ],
    })),
  );
  const all = stack.move();
  return {
    ...{ manifests, authority, certificates, tokens, stable, canary },
    outbound: `127.0.0.1:${outbound}`,
    librarySidecar: `127.0.0.1:${ports[0]}`,
    gatewaySidecar: `127.0.0.1:${edge.port}`,
    canaryLog: () => inbound.lines("canary.log"),
    chosenLog: () => inbound.lines("chosen.log"),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function inFolder(pod: Inbound, folder: string): Inbound {
  return {
    ...pod,
    ...(pod.log !== undefined && { log: join(folder, pod.log) }),
    ...(pod.chosenLog !== undefined && { chosenLog: join(folder, pod.chosenLog) }),
  };
}

async function podOf(name: "gateway" | "library", version: string, keys: string): Promise<Inbound> {
  const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop", version };
  const declared = name === "gateway" ? 8_080 : 42_001;
  return { name, labels, declared, port: await freePort(), app: 0, keys, isHttp2: name === "library" };
}

async function makeTokens(): Promise<Tokens> {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "mesh", alg: "RS256", use: "sig" };
  return {
    keys: JSON.stringify({ keys: [jwk] }),
    token: (issuer, audience) =>
      new SignJWT({ client_id: "reader" })
        .setProtectedHeader({ alg: "RS256", kid: "mesh", typ: "at+jwt" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject("reader")
        .setJti("1")
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(privateKey),
  };
}

/** The gateway with the arguments of its manifest, on ports of this machine. */
class GatewayProgram implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  static async start(manifests: Manifests, outbound: number, keys: string): Promise<GatewayProgram> {
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-gateway-"));
    const jwks = join(folder, "jwks.json");
    writeFileSync(jwks, keys);
    const port = await freePort();
    const own: Readonly<Record<string, string>> = {
      "--http-host": "127.0.0.1",
      "--http-port": String(port),
      "--upstream": `library=127.0.0.1:${outbound}`,
      "--exporter-port": "off",
      "--log-level": "error",
    };
    const [container] = manifests.named("Deployment", "gateway")?.spec.template.spec.containers ?? [];
    const args = (container?.args ?? []).map((arg) => {
      const [flag = "", value] = arg.split("=");
      return `${flag}=${own[flag] ?? value}`;
    });
    args.push(`--auth-jwks=${jwks}`); // In place of what the issuer publishes.
    const child = spawn(process.execPath, [join(root, "examples/http-only.ts"), ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    await listening(child, port, 60_000);
    return new GatewayProgram(port, child, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
