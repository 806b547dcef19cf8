import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, listening } from "../listening.ts";
import type { Resources } from "./resources.ts";

/** A control plane, `control-plane.go`, in a process of its own. */
export class ControlPlane implements AsyncDisposable {
  /** What it has printed: a line for each request of a client. */
  readonly lines: string[] = [];
  readonly #program: string;
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "ts-ms-xds-"));
  #process: ChildProcess | undefined;

  private constructor(program: string, port: number) {
    this.#program = program;
    this.port = port;
  }

  static async start(program: string, resources: Resources): Promise<ControlPlane> {
    const plane = new ControlPlane(program, await freePort());
    await plane.restart(resources);
    return plane;
  }

  get bootstrap(): object {
    const server_uri = `127.0.0.1:${this.port}`;
    return {
      xds_servers: [{ server_uri, channel_creds: [{ type: "insecure" }] }],
      node: { id: "conformance", cluster: "tests" },
    };
  }

  /** Serves other resources. */
  async set(resources: Resources): Promise<void> {
    const before = this.lines.length;
    this.#write(resources);
    this.#process?.kill("SIGHUP");
    await this.line(/^snapshot /, before);
  }

  /** The next line of a kind, from the given one on. @throws Error after 10 s */
  async line(kind: RegExp, from = 0): Promise<string> {
    for (let attempt = 0; attempt < 1_000; attempt++) {
      const line = this.lines.slice(from).find((text) => kind.test(text));
      if (line !== undefined) return line;
      await delay(10);
    }
    throw new Error(`the control plane has not printed ${kind}: ${this.lines.slice(-5).join("; ")}`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async restart(resources: Resources): Promise<void> {
    this.#write(resources);
    const args = [String(this.port), this.#file];
    const child = spawn(this.#program, args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#process = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    await listening(child, this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.#folder, "resources.json");
  }

  #write(resources: Resources): void {
    writeFileSync(this.#file, JSON.stringify(resources));
  }
}
