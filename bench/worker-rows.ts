import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { cpus } from "node:os";
import { createInterface } from "node:readline";
import { bundled } from "./bundled.ts";
import { HttpLoad } from "./load/http-load.ts";
import { median, type Measured, type Rig, type Row } from "./rig.ts";

/** What is called: it is answered in the process of a worker. */
const target = "/goms/1";

/** Connections that are opened at a time in row 19. */
const atOnce = 8;

/** What a new connection may cost the primary, in microseconds. */
const boundUs = 250;

/** The gateway of the examples, alone or in workers. */
class Gateway implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  /** The process that was started, and its workers. */
  readonly #pids: readonly number[];
  readonly #metrics: string;

  private constructor(child: ChildProcess, pids: readonly number[], port: number, metrics: string) {
    this.#child = child;
    this.#pids = pids;
    this.port = port;
    this.#metrics = metrics;
  }

  static async start(workers: number, { cores }: Rig): Promise<Gateway> {
    const { file } = await bundled({ file: "../../examples/gateway.ts" });
    const flags = ["--http-port=0", "--grpc-port=0", "--exporter-port=0", "--log-level=error"];
    const words = [...cores.pinned, process.execPath, file, ...flags, `--workers=${workers}`];
    const [command = "", ...rest] = words;
    const child = spawn(command, rest, { stdio: ["ignore", "pipe", "inherit"] });
    let port = 0;
    let metrics = "";
    for await (const line of createInterface({ input: child.stdout })) {
      port ||= Number(/^\[HTTP\] listening on .*:(\d+)$/.exec(line)?.[1] ?? 0);
      metrics ||= /^\[EXPORTER\] metrics on (\S+)$/.exec(line)?.[1] ?? "";
      const [, pids = ""] = /^\[WORKERS\] .* workers: ([\d, ]+);/.exec(line) ?? [];
      if (pids === "" && !(workers === 1 && line.startsWith("Try:"))) continue;
      child.stdout.resume();
      const all = [child.pid ?? 0, ...(pids === "" ? [] : pids.split(", ").map(Number))];
      return new Gateway(child, all, port, metrics);
    }
    throw new Error("the gateway has ended before it was ready");
  }

  /** CPU time of all processes so far, in microseconds. */
  get cpuUs(): number {
    return this.#pids.reduce((sum, pid) => sum + cpuUsOf(pid), 0);
  }

  /** CPU time of the process that was started. */
  get primaryUs(): number {
    return cpuUsOf(this.#pids[0] ?? 0);
  }

  /** Calls over the connections of a load, by worker: the CPU time of each. */
  get workerUs(): readonly number[] {
    return this.#pids.slice(1).map(cpuUsOf);
  }

  /** Connections of each worker. */
  async connections(): Promise<readonly number[]> {
    const page = await (await fetch(this.#metrics)).text();
    return [...page.matchAll(/^ts_ms_worker_connections\{worker="\d+"\} (\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}

/** CPU time of a process, of which the system counts hundredths of a second. */
function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function loadOn({ port }: Gateway): Promise<HttpLoad> {
  const answer: unknown = await (await fetch(`http://127.0.0.1:${port}${target}`)).json();
  return HttpLoad.open(port, { method: "GET", target, body: undefined, answer });
}

/** CPU time per call of two workers with their primary, and of one process. */
async function measureWorkers(rig: Rig): Promise<Measured> {
  await using two = await Gateway.start(2, rig);
  await using one = await Gateway.start(1, rig);
  const sides = [];
  for (const gateway of [two, one]) sides.push({ gateway, load: await loadOn(gateway), us: [] as number[] });
  // Each process compiles its code by itself.
  for (const [index, { load }] of sides.entries())
    await load.run(index === 0 ? 2 * rig.warmupMs : rig.warmupMs);
  const before = two.workerUs;
  const connections = await two.connections();
  for (let round = 0; round < rig.rounds; round++) {
    for (const { gateway, load, us } of sides) {
      const from = gateway.cpuUs;
      const calls = await load.run(rig.lapMs);
      us.push((gateway.cpuUs - from) / calls);
    }
  }
  for (const { load } of sides) load.close();
  const [subject = [], reference = []] = sides.map(({ us }) => us);
  const spent = two.workerUs.map((us, index) => us - (before[index] ?? 0));
  const all = spent.reduce((sum, us) => sum + us, 0);
  const cores = cpus().length;
  return {
    subject: microseconds(median(subject)),
    reference: microseconds(median(reference)),
    ratios: subject.map((us, round) => us / (reference[round] ?? Number.NaN)),
    rounds: { subject, reference },
    remarks: [
      `of ${connections.reduce((sum, count) => sum + count, 0)} connections the workers have ${connections.join(" and ")}, of their work ${spent.map((us) => `${Math.round((100 * us) / all)} %`).join(" and ")}`,
      ...(cores < 4
        ? [
            `with ${cores} cores calls per second say nothing: the row is not measured, and shows CPU time per call`,
          ]
        : []),
    ],
  };
}

/** CPU time of the primary for each new connection. */
async function measurePrimary(rig: Rig): Promise<Measured> {
  await using gateway = await Gateway.start(2, rig);
  await connectFor(gateway.port, rig.warmupMs);
  const subject: number[] = [];
  for (let round = 0; round < rig.rounds; round++) {
    const from = gateway.primaryUs;
    const connections = await connectFor(gateway.port, rig.lapMs);
    subject.push((gateway.primaryUs - from) / connections);
  }
  return {
    subject: microseconds(median(subject)),
    reference: microseconds(boundUs),
    ratios: subject.map((us) => us / boundUs),
    rounds: { subject, reference: [boundUs] },
    remarks: [],
  };
}

/** Makes a call over each of many connections. @returns how many */
async function connectFor(port: number, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  const request = `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      const socket = connect(port, "127.0.0.1").resume();
      socket.write(request);
      await once(socket, "close");
      if (socket.bytesRead === 0) throw new Error("a connection was closed without an answer");
      count++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return count;
}

function microseconds(us: number): string {
  return `${us.toFixed(1)} µs`;
}

/** Several processes with one port. */
export const workerRows: readonly Row[] = [
  {
    id: "18",
    work: "REST → handler in process, CPU per call",
    subject: "two workers and their primary",
    reference: "one process",
    better: "lower",
    must: 1.08,
    measure: measureWorkers,
  },
  {
    id: "19",
    work: "CPU of the primary per new connection",
    subject: "primary of two workers",
    reference: `${boundUs} µs`,
    better: "lower",
    must: 1,
    aim: 0.48,
    measure: measurePrimary,
  },
];
