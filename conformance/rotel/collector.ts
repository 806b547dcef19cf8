import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort, listening } from "../listening.ts";
import { Missing, toolCache } from "../tools.ts";

const run = promisify(execFile);
const version = "0.0.1a15";

/** The program of the collector, from its Python package. @throws Missing if it cannot be had */
export async function rotelAgent(): Promise<string> {
  const folder = join(toolCache, `rotel-${version}`);
  const program = join(folder, "rotel/rotel-agent");
  if (existsSync(join(folder, "done"))) return program;
  await run("python3", ["-m", "pip", "--version"]).catch(() => {
    throw new Missing("Python 3 with pip is not installed");
  });
  process.stderr.write(`fetching rotel ${version}\n`);
  mkdirSync(folder, { recursive: true });
  try {
    const download = ["-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, `rotel==${version}`];
    await run("python3", download);
    const wheel = readdirSync(folder).find((file) => file.endsWith(".whl")) ?? "";
    await run("python3", ["-m", "zipfile", "-e", join(folder, wheel), folder]);
    chmodSync(program, 0o755);
    await run(program, ["--version"]);
  } catch (error) {
    throw new Missing(`rotel ${version} cannot be had: ${String(error).trim().split("\n").at(-1)}`);
  }
  writeFileSync(join(folder, "done"), "");
  return program;
}

/** A span as the collector prints it. */
export interface PrintedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly parentId: string;
  readonly id: string;
  readonly name: string;
  /** For example `SERVER`. */
  readonly kind: string;
  /** For example `ERROR`. */
  readonly status: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The collector Rotel on one port, which can be killed and started again. */
export class Collector implements AsyncDisposable {
  readonly spans: PrintedSpan[] = [];
  readonly url: string;
  readonly #program: string;
  readonly #port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "rotel-"));
  #child: ChildProcess | undefined;

  private constructor(program: string, port: number) {
    this.#program = program;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Collector> {
    const collector = new Collector(await rotelAgent(), await freePort());
    await collector.start();
    return collector;
  }

  async start(): Promise<void> {
    const [http, grpc] = [`127.0.0.1:${this.#port}`, `127.0.0.1:${await freePort()}`];
    const child = spawn(
      this.#program,
      [
        ...["start", "--otlp-http-endpoint", http, "--otlp-grpc-endpoint", grpc, "--exporter", "blackhole"],
        ...["--debug-log", "traces", "--debug-log-verbosity", "detailed"],
        ...["--pid-file", join(this.#folder, "pid"), "--log-file", join(this.#folder, "log")],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#child = child;
    const reader = new SpanReader((span) => this.spans.push(span));
    createInterface({ input: child.stdout }).on("line", (line) => reader.line(line));
    await listening(child, this.#port);
  }

  async kill(signal: "SIGKILL" | "SIGSTOP" = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    if (signal === "SIGKILL") await once(child, "exit");
  }

  /** The spans of a trace once there are so many. */
  async trace(traceId: string, count: number): Promise<readonly PrintedSpan[]> {
    const sinceMs = performance.now();
    for (;;) {
      const found = this.spans.filter((span) => span.traceId === traceId);
      if (found.length >= count) return found;
      if (performance.now() - sinceMs > 10_000) throw new Error(`${found.length} of ${count} spans came`);
      await delay(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const fields = /^ {4}(Trace ID|Parent ID|ID|Name|Kind|Status code) +: (.*)$/;

/** Reads spans from the lines that Rotel prints; the last line of a span is seen at what follows it. */
class SpanReader {
  readonly #take: (span: PrintedSpan) => void;
  #service = "";
  #fields: Record<string, string> | undefined;
  #attributes: Record<string, string> = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(take: (span: PrintedSpan) => void) {
    this.#take = take;
  }

  line(text: string): void {
    if (/^(?:Span #|ScopeSpans|ResourceSpans)/.test(text)) this.#end();
    if (text.startsWith("Span #")) this.#fields = {};
    const [, key, value = ""] = /^ +-> ([^:]+): \w+\((.*)\)$/.exec(text) ?? [];
    const [, field, content = ""] = fields.exec(text) ?? [];
    if (this.#fields === undefined) {
      if (key === "service.name") this.#service = value;
      return;
    }
    if (field !== undefined) this.#fields[field] = content;
    else if (key !== undefined) this.#attributes[key] = value;
    // Nothing may follow the last span for a while.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), 100);
  }

  #end(): void {
    clearTimeout(this.#timer);
    const known = this.#fields;
    if (known === undefined) return;
    const { Kind = "", Name = "" } = known;
    this.#take({
      service: this.#service,
      traceId: known["Trace ID"] ?? "",
      parentId: known["Parent ID"] ?? "",
      id: known["ID"] ?? "",
      name: Name,
      kind: Kind.replace("SPAN_KIND_", ""),
      status: (known["Status code"] ?? "").replace("STATUS_CODE_", ""),
      attributes: this.#attributes,
    });
    this.#fields = undefined;
    this.#attributes = {};
  }
}
