import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchEnvoy } from "../../bench/peers.ts";
import { listening } from "../listening.ts";

/** The name of a type of Envoy's extensions. */
export function extension(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}

/** A port of this machine. */
export function addressOf(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/** An Envoy with a fixed configuration, and a folder of its own for what it reads and writes. */
export class Envoy implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  /**
   * @param ports on which it listens, by the configuration
   * @param resourcesOf the static resources, whose files are in a folder
   * @throws Missing if there is no Envoy, Error with what it says if it does not take the configuration
   */
  static async start(ports: readonly number[], resourcesOf: (folder: string) => object): Promise<Envoy> {
    const binary = await fetchEnvoy();
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-mesh-"));
    const file = join(folder, "envoy.json");
    writeFileSync(
      file,
      JSON.stringify({ node: { id: "e", cluster: "e" }, static_resources: resourcesOf(folder) }),
    );
    const args = ["-c", file, "--concurrency", "1", "--base-id", String(ports[0]), "--log-level", "error"];
    args.push("--file-flush-interval-msec", "50");
    const child = spawn(binary, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
    const envoy = new Envoy(child, folder);
    try {
      for (const port of ports) await listening(child, port, 20_000);
    } catch (error) {
      await envoy[Symbol.asyncDispose]();
      throw error;
    }
    return envoy;
  }

  /** The lines of a file that it has written so far. */
  lines(name: string): string[] {
    return readFileSync(join(this.#folder, name), "utf8").split("\n").filter(Boolean);
  }

  /** Replaces a file that it watches, all at once. */
  replace(name: string, text: string): void {
    const file = join(this.#folder, name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
