import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TemporaryFiles } from "../../test/support/temporary-files.ts";
import { freePort, listening } from "../listening.ts";
import { debianPackages, Missing } from "../tools.ts";

/** The folder of the programs of Debian's Prometheus 2.42. @throws Missing if it cannot be had */
export async function prometheusPrograms(): Promise<string> {
  try {
    const folder = join(await debianPackages("bookworm", ["prometheus"]), "usr/bin");
    if (existsSync(join(folder, "promtool"))) return folder;
    throw new Error("the package has no promtool");
  } catch (error) {
    if (error instanceof Missing) throw error;
    throw new Missing(`prometheus of Debian bookworm cannot be had: ${String(error).split("\n").at(-1)}`);
  }
}

/** A series as Prometheus stores it. */
export type Series = Readonly<Record<string, string>>;

/** Exemplars of a series. */
export interface ExemplarSeries {
  readonly seriesLabels: Series;
  readonly exemplars: readonly { readonly labels: Series; readonly value: string }[];
}

/** A Prometheus that scrapes a page each second and keeps exemplars. */
export class PrometheusServer implements AsyncDisposable {
  readonly #url: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.#url = url;
    this.#stop = stop;
  }

  /** @param page of metrics */
  static async start(programs: string, page: string, files: TemporaryFiles): Promise<PrometheusServer> {
    const { host, pathname } = new URL(page);
    const port = await freePort();
    const config = await files.write("prometheus.json", {
      global: { scrape_interval: "1s" },
      scrape_configs: [{ job_name: "app", metrics_path: pathname, static_configs: [{ targets: [host] }] }],
    });
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(files.folder, "prometheus")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--enable-feature=exemplar-storage",
      "--log.level=warn",
    ];
    const child = spawn(join(programs, "prometheus"), args, { stdio: ["ignore", "ignore", "inherit"] });
    await listening(child, port);
    return new PrometheusServer(`http://127.0.0.1:${port}/api/v1/`, async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    });
  }

  /** The result of a query: the values of its series. */
  async query(query: string): Promise<readonly { readonly metric: Series; readonly value: number }[]> {
    const data = await this.#get("query", { query });
    const { result } = data as { result: { metric: Series; value: [number, string] }[] }; // As its API documents.
    return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** Type by name of all metrics that were on the page. */
  async types(): Promise<ReadonlyMap<string, string>> {
    const data = await this.#get("metadata", {});
    const known = data as Record<string, readonly { readonly type: string }[]>; // As its API documents.
    return new Map(Object.entries(known).map(([name, [one]]) => [name, one?.type ?? ""]));
  }

  /** Series of the last minute. */
  async series(match: string): Promise<readonly Series[]> {
    return (await this.#get("series", { "match[]": match, ...lastMinute() })) as Series[]; // As its API documents.
  }

  /** Why the last scrape failed; empty if it did not. */
  async scrapeError(): Promise<string> {
    const data = await this.#get("targets", {});
    const { activeTargets } = data as { activeTargets: { lastError: string }[] }; // As its API documents.
    return activeTargets.map(({ lastError }) => lastError).join();
  }

  async exemplars(query: string): Promise<readonly ExemplarSeries[]> {
    return (await this.#get("query_exemplars", { query, ...lastMinute() })) as ExemplarSeries[]; // As its API documents.
  }

  async #get(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}?${new URLSearchParams(parameters).toString()}`);
    const body = (await response.json()) as { status: string; data: unknown; error?: string }; // As its API documents.
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}

function lastMinute(): { readonly start: string; readonly end: string } {
  const nowS = Date.now() / 1000;
  return { start: String(nowS - 60), end: String(nowS + 1) };
}
