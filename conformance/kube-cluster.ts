import { spawn, type ChildProcess } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, listening } from "./listening.ts";
import { goTool } from "./tools.ts";

/** An API server of Kubernetes with its etcd; no pod runs on it. */
export class KubeCluster implements AsyncDisposable {
  readonly url: string;
  readonly #apiServer: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #etcdPort: number;
  readonly #etcd: ChildProcess;
  #server: ChildProcess | undefined;

  private constructor(
    apiServer: string,
    folder: string,
    ports: readonly [number, number],
    etcd: ChildProcess,
  ) {
    this.#apiServer = apiServer;
    this.#folder = folder;
    [this.#port, this.#etcdPort] = ports;
    this.#etcd = etcd;
    this.url = `https://127.0.0.1:${this.#port}`;
  }

  /** @param users that have no rights yet; the token of each is its name, that of the administrator is `admin` */
  static async start(users: readonly string[]): Promise<KubeCluster> {
    const [etcdTool, apiServer] = [await goTool("etcd"), await goTool("kube-apiserver")];
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-kube-"));
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    writeFileSync(join(folder, "sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    const lines = users.map((name, index) => `${name},${name},${index + 2},""`);
    writeFileSync(join(folder, "tokens.csv"), [`admin,admin,1,"system:masters"`, ...lines, ""].join("\n"));
    const ports = [await freePort(), await freePort()] as const;
    const client = `http://127.0.0.1:${ports[1]}`;
    const peer = `http://127.0.0.1:${await freePort()}`;
    const args = [`--data-dir=${join(folder, "etcd")}`, `--listen-client-urls=${client}`];
    args.push(`--advertise-client-urls=${client}`, `--listen-peer-urls=${peer}`);
    args.push(`--initial-advertise-peer-urls=${peer}`, `--initial-cluster=default=${peer}`);
    const etcd = spawn(etcdTool, args, { cwd: folder, stdio: "ignore" });
    const cluster = new KubeCluster(apiServer, folder, ports, etcd);
    await listening(etcd, ports[1]);
    await cluster.#start();
    return cluster;
  }

  /** The certificates of the authority that the API server has made for itself. */
  get ca(): string {
    return readFileSync(join(this.#folder, "certs/apiserver.crt"), "utf8");
  }

  /** Ends the API server as a crash does; its data stay. */
  async crash(): Promise<void> {
    await end(this.#server);
  }

  /** Starts the API server again. */
  async restart(): Promise<void> {
    await this.#start();
  }

  /** Sends a request as the administrator. @throws Error if it is refused */
  async send(method: string, path: string, body?: object): Promise<unknown> {
    const { status, text } = await this.#exchange(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#server);
    await end(this.#etcd);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const args = [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      `--secure-port=${this.#port}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      `--cert-dir=${join(this.#folder, "certs")}`,
      "--service-account-issuer=https://lab",
      `--service-account-key-file=${join(this.#folder, "sa.key")}`,
      `--service-account-signing-key-file=${join(this.#folder, "sa.key")}`,
      "--service-cluster-ip-range=10.0.0.0/24",
      "--authorization-mode=RBAC",
      `--token-auth-file=${join(this.#folder, "tokens.csv")}`,
    ];
    this.#server = spawn(this.#apiServer, args, { cwd: this.#folder, stdio: "ignore" });
    for (let attempt = 0; attempt < 600; attempt++) {
      await delay(100);
      if (this.#server.exitCode !== null) break;
      const ready = await this.#exchange("GET", "/readyz").catch(() => undefined);
      if (ready?.text === "ok") return;
    }
    throw new Error("the API server of Kubernetes does not start");
  }

  async #exchange(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const headers = {
      authorization: "Bearer admin",
      "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
    };
    const sent = request(this.url + path, { method, headers, rejectUnauthorized: false, agent: false });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const parts: string[] = [];
    for await (const part of response.setEncoding("utf8")) parts.push(part as string); // With an encoding.
    return { status: response.statusCode ?? 0, text: parts.join("") };
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
