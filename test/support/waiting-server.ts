import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

const program = join(import.meta.dirname, "../long/fixtures/waiting-server.ts");

/** A gateway in a process of its own, whose streams wait after their first message. */
export class WaitingServer implements Disposable {
  readonly port: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, lines: Interface, port: number) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
    this.port = port;
  }

  /** @param folder with `cert.pem` and `key.pem`, for TLS */
  static async start(folder?: string): Promise<WaitingServer> {
    const args = ["--expose-gc", program, ...(folder === undefined ? [] : [folder])];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout });
    const [line] = await new Promise<[string]>((resolve, reject) => {
      lines.once("line", (text: string) => resolve([text]));
      child.once("close", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    return new WaitingServer(child, lines, Number(/\d+/.exec(line)?.[0]));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its resident bytes, after a collection. */
  async memory(): Promise<number> {
    this.#child.stdin.write("\n");
    const next: IteratorResult<string, unknown> = await this.#lines.next();
    return Number(/\d+/.exec(String(next.value))?.[0]);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

/** The value below which `share` of the numbers are. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Milliseconds of so many calls by one connection, one after the other. */
export async function callTimes(call: () => Promise<void>, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const startMs = performance.now();
    await call();
    times.push(performance.now() - startMs);
  }
  return times;
}
