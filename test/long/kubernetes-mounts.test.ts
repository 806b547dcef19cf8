import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { setTimeout as wait } from "node:timers/promises";
import { createApiKey } from "../../src/core/security/api-keys.ts";
import { createCertificate } from "../support/certificates.ts";
import { FakeIssuer } from "../support/fake-issuer.ts";
import { curl, Program } from "../support/program.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** The time after which what is mounted must be in use, in milliseconds. */
const inUseMs = 5_000;

/**
 * A folder as Kubernetes mounts a ConfigMap or a Secret: files are links through the link `..data` to a folder with the
 * time in its name, and `..data` is swapped for another folder in one step.
 */
class Mount {
  readonly #folder: string;
  #turn = 0;

  constructor(folder: string, files: Readonly<Record<string, string>>) {
    this.#folder = folder;
    mkdirSync(folder);
    this.swap(files);
    for (const name of Object.keys(files)) symlinkSync(join("..data", name), this.path(name));
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  swap(files: Readonly<Record<string, string>>): void {
    const next = `..2026_11_30_01_00_${this.#turn++}`;
    mkdirSync(this.path(next));
    for (const [name, text] of Object.entries(files))
      writeFileSync(this.path(`${next}/${name}`), text, { mode: 0o640 });
    const old = this.#turn > 1 ? readlinkSync(this.path("..data")) : undefined;
    symlinkSync(next, this.path("..data_tmp"));
    renameSync(this.path("..data_tmp"), this.path("..data"));
    if (old !== undefined) rmSync(this.path(old), { recursive: true });
  }
}

/** Asks until the answer is the one that is expected. */
async function inUse(what: string, isInUse: () => Promise<boolean>): Promise<void> {
  const sinceMs = performance.now();
  while (!(await isInUse())) {
    assert.ok(performance.now() - sinceMs < inUseMs, `${what} is not in use after 5 s`);
    await wait(100);
  }
}

/** The name in the certificate of a server. */
async function certificateName(address: string): Promise<string> {
  const [host = "", port] = address.split(":");
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

test("C9 C12 D6 a configuration, secrets and a certificate whose `..data` is swapped are in use within 5 s", async () => {
  await using files = await TemporaryFiles.create();
  await using issuer = await FakeIssuer.start();
  const [first, second] = [createApiKey("first"), createApiKey("second")];
  const tlsFiles = (name: string): Readonly<Record<string, string>> => {
    const { cert, key } = createCertificate({ name, hosts: ["127.0.0.1"] });
    return { "tls.crt": cert, "tls.key": key };
  };
  const secrets = (secret: string, { hash }: { readonly hash: string }) => ({
    client: `${secret}\n`,
    "keys.json": JSON.stringify([{ id: "partner", hash }]),
  });
  const certificate = new Mount(join(files.folder, "tls"), tlsFiles("one"));
  const secret = new Mount(join(files.folder, "secret"), secrets("first-secret", first));
  const textOf = (origin: string): string => `app: { watch_config: true }
http: { port: 0, cors: { origins: ["${origin}"] } }
grpc: { port: 0 }
tls: { cert: ${certificate.path("tls.crt")}, key: ${certificate.path("tls.key")} }
overload: { enabled: false }
access: { default: authenticated }
auth:
  failures: 100000/1m # More than are asked for here.
  providers:
    partners: { api_key: { keys_file: ${secret.path("keys.json")} } }
    opaque:
      introspection: { endpoint: "${issuer.url}/introspect", client_id: gw, client_secret: "\${file:${secret.path("client")}}", audiences: [library], negative_ttl: 1ms }
telemetry: { metrics: { port: "off" } }
`;
  const config = new Mount(join(files.folder, "config"), { "config.yaml": textOf("https://one.example") });
  await using app = new Program("examples/app.ts", "--config", config.path("config.yaml"));
  const address = await app.address("HTTP");
  const ask = (...args: readonly string[]) => curl("-k", ...args, `https://${address}/goms`);
  const keyIs = async (key: string, status: number): Promise<boolean> =>
    (await ask("-H", `x-api-key: ${key}`)).status === status;
  const originIs = async (origin: string): Promise<boolean> =>
    (await ask("-H", `origin: ${origin}`)).headers.get("access-control-allow-origin") === origin;
  let tokens = 0;
  const secretIs = async (text: string): Promise<boolean> => {
    await ask("-H", `authorization: Bearer opaque${++tokens}`);
    const [, credentials = ""] = (issuer.credentials.at(-1) ?? "").split(" ");
    return Buffer.from(credentials, "base64").toString() === `gw:${text}`;
  };
  assert.ok(await keyIs(first.key, 200));
  assert.ok(await keyIs(second.key, 401));
  assert.ok(await originIs("https://one.example"));
  assert.ok(await secretIs("first-secret"));
  assert.equal(await certificateName(address), "one");

  certificate.swap(tlsFiles("two"));
  await inUse("the certificate", async () => (await certificateName(address)) === "two");
  secret.swap(secrets("second-secret", second));
  await Promise.all([
    inUse("the key", () => keyIs(second.key, 200)),
    inUse("the secret", () => secretIs("second-secret")),
  ]);
  assert.ok(await keyIs(first.key, 401));
  // What was watched once is watched after a swap too.
  for (const origin of ["https://two.example", "https://three.example"]) {
    config.swap({ "config.yaml": textOf(origin) });
    await inUse("the configuration", () => originIs(origin));
  }
  certificate.swap(tlsFiles("three"));
  await inUse("the certificate", async () => (await certificateName(address)) === "three");
  assert.equal((await app.stop()).code, 0);
});
