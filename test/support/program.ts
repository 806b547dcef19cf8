import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../..");

/** How long a program may take for anything, in milliseconds, on a slow machine. */
const patienceMs = 30_000;

/**
 * The file to start for a program of this repository: `npm test` bundles those that many tests start, for a bundle
 * starts in half of the time.
 *
 * @param file Path below the root, for example `examples/gateway.ts`.
 */
export function programFile(file: string): string {
  const bundles = process.env["TEST_PROGRAMS"];
  const bundle = bundles === undefined ? "" : join(bundles, `${basename(file, ".ts")}.mjs`);
  return existsSync(bundle) ? bundle : join(root, file);
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Time since the signal that `stop` sent, in milliseconds. */
  readonly afterMs: number;
}

/** A program that is started with flags of Node. */
export interface FlaggedProgram {
  readonly file: string;
  readonly flags: readonly string[];
}

/** A program of this repository as a process of its own. Killed, if it still runs, when it is disposed of. */
export class Program implements AsyncDisposable {
  readonly lines: string[] = [];
  errors = "";
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  readonly #waiters = new Set<() => void>();
  #signalledAt = 0;

  /** @param program Path below the root, for example `examples/gateway.ts`; with flags of Node. */
  constructor(program: string | FlaggedProgram, ...args: readonly string[]) {
    const { file, flags } = typeof program === "string" ? { file: program, flags: [] } : program;
    const child = spawn(process.execPath, [...flags, programFile(file), ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#closed = once(child, "close");
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#wake();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
      this.#wake();
    });
    child.once("close", () => this.#wake());
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The first match in a line of its standard output, now or later. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(`a line like ${pattern}`, () => {
      for (const line of this.lines) {
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
      return undefined;
    });
  }

  /** The first match in its standard error, now or later. */
  error(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(`an error like ${pattern}`, () => pattern.exec(this.errors) ?? undefined);
  }

  /** Host and port that a server of the program listens on, by the server's name: `GRPC`, `HTTP`. */
  async address(name: string): Promise<string> {
    return (await this.line(new RegExp(`^\\[${name}\\] listening on (\\S+)$`)))[1] ?? "";
  }

  /** Address of the metrics page. */
  async metrics(): Promise<string> {
    return (await this.line(/^\[EXPORTER\] metrics on (\S+)$/))[1] ?? "";
  }

  /** Sends a signal. */
  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#signalledAt = performance.now();
    this.#child.kill(signal);
  }

  /** How it ends. */
  async exit(): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the program still runs${this.#report()}`)), patienceMs);
    });
    try {
      const [code, signal] = (await Promise.race([this.#closed, late])) as [
        number | null,
        NodeJS.Signals | null,
      ];
      return { code, signal, afterMs: performance.now() - this.#signalledAt };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal and waits for the end. */
  stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.kill(signal);
    return this.exit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      const leftMs = end - performance.now();
      assert.ok(!ended && leftMs > 0, `no ${what}${this.#report()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiters.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  #report(): string {
    return `\n--- output\n${this.lines.join("\n")}\n--- errors\n${this.errors}`;
  }
}

/** What a command printed and how it ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export function run(command: string, ...args: readonly string[]): Promise<CommandResult> {
  const path = [join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { cwd: root, env: { ...process.env, PATH: path }, timeout: patienceMs },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
        else reject(error);
      },
    );
  });
}

/** Runs a command to its end, however long it takes. Rejects, with all that it has printed, when it fails. */
export async function complete(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<Omit<CommandResult, "code">> {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`);
  return { stdout, stderr };
}

/** An HTTP response as curl saw it. */
export interface CurlResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Asks with the real curl. Fails when there is no response. */
export async function curl(...args: readonly string[]): Promise<CurlResponse> {
  const { code, stdout, stderr } = await run("curl", "-sS", "-i", "--max-time", "25", ...args);
  assert.equal(code, 0, `curl ${args.join(" ")}: ${stderr}`);
  const [head = "", ...rest] = stdout.split("\r\n\r\n");
  const [statusLine = "", ...fields] = head.split("\r\n");
  const headers = new Headers();
  for (const field of fields) {
    const colon = field.indexOf(":");
    headers.append(field.slice(0, colon), field.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(" ")[1]), headers, body: rest.join("\r\n\r\n") };
}

/** As `curl`, for JSON: status and parsed body. */
export async function curlJson(...args: readonly string[]): Promise<readonly [number, unknown]> {
  const { status, body } = await curl(...args);
  return [status, JSON.parse(body)];
}

/**
 * Calls an rpc with the real `buf curl` over gRPC, by server reflection.
 *
 * @param rpc `package.Service/Method`.
 * @param data Requests as JSON, one after the other.
 */
export function bufCurl(address: string, rpc: string, data: string, ...args: readonly string[]) {
  const protocol = ["--protocol", "grpc", "--http2-prior-knowledge"];
  return run("buf", "curl", ...protocol, "-d", data, ...args, `http://${address}/${rpc}`);
}
