import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fetchEnvoy } from "../../bench/peers.ts";
import { createCertificate } from "../../test/support/certificates.ts";
import { TemporaryFiles } from "../../test/support/temporary-files.ts";
import { freePort, listening } from "../listening.ts";
import { goTool, Missing } from "../tools.ts";

const deploy = join(import.meta.dirname, "../../deploy");

/** Where a proxy sends what comes. */
export interface Behind {
  readonly http: number;
  readonly grpc: number;
}

/** A proxy that ends HTTP/3, by a file of `deploy/`. */
export class EdgeProxy implements AsyncDisposable {
  /** Its port, of UDP and TCP. */
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #files: TemporaryFiles;

  private constructor(port: number, child: ChildProcess, files: TemporaryFiles) {
    this.port = port;
    this.#process = child;
    this.#files = files;
  }

  /** Debian's Caddy, with `deploy/caddy/caddy-2.6.json`. @throws Missing where it is not installed */
  static caddy(behind: Behind): Promise<EdgeProxy> {
    if (!existsSync("/usr/bin/caddy")) throw new Missing("there is no /usr/bin/caddy: apt-get install caddy");
    return EdgeProxy.#start(
      behind,
      "caddy/caddy-2.6.json",
      (text, { folder, port }) =>
        text.replaceAll("/etc/caddy", folder).replaceAll(":443", `127.0.0.1:${port}`),
      (file) => ["/usr/bin/caddy", ["run", "--config", file]],
    );
  }

  /** Caddy 2.11, with `deploy/caddy/Caddyfile`, but for the name and the certificate of its site. */
  static async newCaddy(behind: Behind): Promise<EdgeProxy> {
    const binary = await goTool("caddy");
    return EdgeProxy.#start(
      behind,
      "caddy/Caddyfile",
      (text, { folder, port }) =>
        text
          .replace("admin off", "admin off\n\tauto_https disable_redirects\n\tskip_install_trust")
          .replace(
            "https://api.example.com {",
            `https://localhost:${port}, https://127.0.0.1:${port} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`,
          ),
      (file) => [binary, ["run", "--adapter", "caddyfile", "--config", file]],
    );
  }

  /** Envoy, with `deploy/envoy/edge-http3.yaml`. */
  static async envoy(behind: Behind): Promise<EdgeProxy> {
    const binary = await fetchEnvoy();
    return EdgeProxy.#start(
      behind,
      "envoy/edge-http3.yaml",
      (text, { folder }) => text.replaceAll("/etc/envoy", folder),
      (file, port) => [
        binary,
        ["-c", file, "--concurrency", "1", "--base-id", String(port), "--log-level", "error"],
      ],
    );
  }

  static async #start(
    behind: Behind,
    source: string,
    edit: (text: string, place: { readonly folder: string; readonly port: number }) => string,
    command: (file: string, port: number) => readonly [string, readonly string[]],
  ): Promise<EdgeProxy> {
    const files = await TemporaryFiles.create();
    const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost", "127.0.0.1"] });
    await files.write("cert.pem", cert);
    await files.write("key.pem", key);
    const port = await freePort();
    const text = readFileSync(join(deploy, source), "utf8")
      .replaceAll("8080", String(behind.http))
      .replaceAll("42001", String(behind.grpc))
      .replaceAll("0.0.0.0", "127.0.0.1")
      .replaceAll("8443", String(port));
    const file = await files.write(basename(source), edit(text, { folder: files.folder, port }));
    const [program, words] = command(file, port);
    const env = {
      ...process.env,
      HOME: files.folder,
      XDG_DATA_HOME: files.folder,
      XDG_CONFIG_HOME: files.folder,
    };
    const child = spawn(program, words, { cwd: files.folder, env, stdio: ["ignore", "ignore", "ignore"] });
    await listening(child, port);
    return new EdgeProxy(port, child, files);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGKILL");
      await once(this.#process, "exit");
    }
    await this.#files[Symbol.asyncDispose]();
  }
}
