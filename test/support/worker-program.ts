import { Agent, request } from "node:http";
import { Program } from "./program.ts";

/** A program in workers, as a process with its own. */
export interface WorkerProgram extends AsyncDisposable {
  readonly program: Program;
  /** Host and port of HTTP. */
  readonly http: string;
  /** Host and port of gRPC. */
  readonly grpc: string;
  /** The text of its page of metrics. */
  metrics(): Promise<string>;
}

/** Starts the fixture with two workers, unless there are other flags; resolves when all of them serve. */
export function startWorkers(...args: readonly string[]): Promise<WorkerProgram> {
  return startFlaggedWorkers([], ...args);
}

/** The same with flags of Node. */
export async function startFlaggedWorkers(
  flags: readonly string[],
  ...args: readonly string[]
): Promise<WorkerProgram> {
  const program = new Program(
    { file: "test/programs/fixtures/worker-program.ts", flags },
    ...["--grpc-port=0", "--http-port=0", "--exporter-port=0", "--workers=2"],
    ...args,
  );
  await program.line(/^\[WORKERS\] primary/);
  return {
    program,
    http: await program.address("HTTP"),
    grpc: await program.address("GRPC"),
    // A kept connection would be an open file of the primary.
    metrics: async () => (await fetch(await program.metrics(), { headers: { connection: "close" } })).text(),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** What answered a call. */
export interface Answered {
  readonly status: number;
  readonly worker: string;
  readonly pid: number;
  readonly heard: string;
}

/** Calls the echo of a worker over REST. @param agent Default: a new connection */
export function echo(
  { http }: Pick<WorkerProgram, "http">,
  text: string,
  number = 0,
  agent = new Agent({ keepAlive: false }),
): Promise<Answered> {
  const [host, port] = http.split(":");
  return new Promise((resolve, reject) => {
    const asked = request(
      { host, port, agent, path: `/test/v1/echo/${text}?number=${number}` },
      (response) => {
        response.resume();
        const { headers, statusCode: status = 0 } = response;
        const [worker = "", pid, heard = ""] = ["x-worker", "x-pid", "x-heard"].map((name) =>
          String(headers[name] ?? ""),
        );
        response.once("end", () => resolve({ status, worker, pid: Number(pid), heard }));
        response.once("error", reject);
      },
    );
    asked.once("error", (error) =>
      reject(new Error(`the echo of ${text}: ${error.message}`, { cause: error })),
    );
    asked.end();
  });
}

/** Resolves when something is so, which is looked at every 20 ms. @param patienceMs Default: 30 s, then it rejects */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  patienceMs = 30_000,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`it did not happen in ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The value of a sample of a page, by its name and labels as they are written there; undefined for none. */
export function sample(page: string, name: string): number | undefined {
  const line = page.split("\n").find((text) => text.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

/** Samples of counters and histograms of a page, by name and labels. */
export function risingSamples(page: string): ReadonlyMap<string, number> {
  const rising = new Set(
    [...page.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name]) => name ?? ""),
  );
  const samples = new Map<string, number>();
  for (const line of page.split("\n")) {
    const [, series = "", name = "", value = ""] = /^((\w+)(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (rising.has(name) || rising.has(name.replace(/_(?:bucket|sum|count)$/, "")))
      samples.set(series, Number(value));
  }
  return samples;
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
