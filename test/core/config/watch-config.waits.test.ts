import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import {
  type LoadedConfig,
  watchConfig,
  type Config,
  type ConfigSource,
  type ConfigUpdate,
  type ReloadReport,
  type WatchConfigOptions,
} from "../../../src/entries/config.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { Program } from "../../support/program.ts";
import { ConfigFiles } from "./config-files.ts";

/** A configuration that is watched, with what was told of it. */
class Watched implements Disposable {
  readonly source: ConfigSource;
  readonly reports: ReloadReport[] = [];
  readonly updates: ConfigUpdate[] = [];
  used: Config | undefined;
  #wake: (() => void) | undefined;

  constructor(loaded: LoadedConfig, options: Partial<WatchConfigOptions> = {}) {
    this.source = watchConfig(loaded, {
      signal: false,
      prepare: (update) => {
        this.updates.push(update);
        return () => (this.used = update.next);
      },
      onReload: (report) => {
        this.reports.push(report);
        this.#wake?.();
      },
      ...options,
    });
  }

  /** The first report from now on that passes; an error after 5 seconds. */
  async next(passes: (report: ReloadReport) => boolean): Promise<ReloadReport> {
    const start = this.reports.length;
    const deadline = Date.now() + 5_000;
    for (;;) {
      const found = this.reports.slice(start).find(passes);
      if (found !== undefined) return found;
      const restMs = deadline - Date.now();
      assert.ok(restMs > 0, "no such report within 5 s");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, restMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  [Symbol.dispose](): void {
    this.source.close();
  }
}

const isApplied = ({ result }: ReloadReport): boolean => result === "applied";

test("a reload takes the keys that it may, and lists the others", async () => {
  using files = new ConfigFiles({
    "config.yaml": "http: { port: 1, timeout: 5s }\nlimits: { a: { key: [ip], rate: 1/1s } }\n",
  });
  using watched = new Watched(await files.load());
  files.write(
    "config.yaml",
    "http: { port: 2, timeout: 6s }\nlimits: { a: { key: [ip], rate: 2/1s }, b: { key: [ip], rate: 1/1s } }\ntls: { cert: c, key: k }\n",
  );
  const report = await watched.source.reload();
  assert.deepEqual(
    { ...report, warnings: [] },
    {
      result: "applied",
      changed: ["http.timeout", "limits.a.rate", "limits.b"],
      restartNeeded: ["http.port", "tls"],
      problems: [],
      warnings: [],
    },
  );
  const { config } = watched.source;
  assert.equal(watched.used, config);
  assert.deepEqual([config.http.port, config.http.timeout, config.tls], [1, 6_000, undefined]);
  assert.deepEqual(Object.keys(config.limits), ["a", "b"]);
  assert.match(watched.source.print(), /port: 1 #[^]*timeout: 6s #/);
  assert.deepEqual(watched.source.restartNeeded, ["http.port", "tls"]);

  files.write("config.yaml", "http: { port: 1, timeout: 6s }\nlimits: { a: { key: [ip], rate: 2/1s } }\n");
  const back = await watched.source.reload();
  assert.deepEqual([back.changed, back.restartNeeded], [["limits.b"], []]);
  const same = await watched.source.reload();
  assert.deepEqual([same.result, same.changed], ["unchanged", []]);
});

test("a section that comes or goes is taken where all that is said in it may be", async () => {
  const jwt = "jwt: { issuer: a, audiences: [b] }";
  const taken: readonly [text: string, changed: readonly string[], restartNeeded: readonly string[]][] = [
    [`auth: { providers: { a: { ${jwt} } } }`, ["auth"], []],
    [`auth: { failures: 1/1s, providers: { a: { ${jwt} } } }`, [], ["auth"]],
    ["telemetry: { access_log: { slow: 2s } }", ["telemetry.access_log"], []],
    ["telemetry: { access_log: { destination: a.log } }", [], ["telemetry.access_log"]],
    ["csrf: { trusted_origins: [a] }", ["csrf"], []],
    ["session: {}", [], ["session"]],
  ];
  for (const [text, changed, restartNeeded] of taken) {
    using files = new ConfigFiles({ "config.yaml": "{}" });
    using watched = new Watched(await files.load());
    files.write("config.yaml", text);
    const come = await watched.source.reload();
    assert.deepEqual([come.changed, come.restartNeeded], [changed, restartNeeded], text);
    using other = new Watched(await files.load());
    files.write("config.yaml", "{}");
    const gone = await other.source.reload();
    assert.deepEqual([gone.changed, gone.restartNeeded], [changed, restartNeeded], text);
  }
});

test("what is wrong changes nothing", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { timeout: 5s }\n" });
  using watched = new Watched(await files.load());
  const before = watched.source.config;
  files.write("config.yaml", "http: { timeout: 6s, port: x }\nhtpp: {}\n");
  const report = await watched.source.reload();
  assert.equal(report.result, "rejected");
  assert.deepEqual(
    report.problems.map((line) => line.replaceAll(`${files.folder}/`, "")),
    [
      'config.yaml:1:28: http.port: expected a port from 0 to 65535, found "x"',
      'config.yaml:2:1: unknown key "htpp", did you mean "http"?',
    ],
  );
  assert.equal(watched.source.config, before);
  assert.equal(watched.updates.length, 0);
});

test("what prepare throws rejects the reload", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { timeout: 5s }\n" });
  let problem: Error | undefined = new Error("no such rpc: a.B/C\nno such rpc: a.B/D");
  using watched = new Watched(await files.load(), {
    prepare: async () => {
      await Promise.resolve();
      if (problem !== undefined) throw problem;
      return () => {};
    },
  });
  files.write("config.yaml", "http: { timeout: 6s }\n");
  const report = await watched.source.reload();
  assert.deepEqual(
    [report.result, report.problems],
    ["rejected", ["no such rpc: a.B/C", "no such rpc: a.B/D"]],
  );
  assert.equal(watched.source.config.http.timeout, 5_000);
  problem = undefined;
  assert.equal((await watched.source.reload()).result, "applied");
  assert.equal(watched.source.config.http.timeout, 6_000);
});

test("reloads that are asked for during one are one, after it", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { timeout: 5s }\n" });
  const waiting: (() => void)[] = [];
  using watched = new Watched(await files.load(), {
    prepare: async () => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return () => {};
    },
  });
  files.write("config.yaml", "http: { timeout: 6s }\n");
  const first = watched.source.reload();
  files.write("config.yaml", "http: { timeout: 7s }\n");
  const [second, third] = [watched.source.reload(), watched.source.reload()];
  assert.equal(second, third);
  waiting.shift()?.();
  assert.equal((await first).result, "applied");
  assert.equal(watched.source.config.http.timeout, 6_000);
  while (waiting.length === 0) await new Promise(setImmediate);
  waiting.shift()?.();
  assert.equal((await second).result, "applied");
  assert.equal(watched.source.config.http.timeout, 7_000);
});

test("changed files reload only where app.watch_config says so", async () => {
  using files = new ConfigFiles({ "config.yaml": "app: { watch_config: true }\nhttp: { timeout: 5s }\n" });
  using watched = new Watched(await files.load());
  const reported = watched.next(isApplied);
  files.write("config.yaml", "app: { watch_config: true }\nhttp: { timeout: 6s }\n");
  await reported;
  assert.equal(watched.source.config.http.timeout, 6_000);
});

test("a secret file is read again, also behind the links of Kubernetes", async () => {
  using files = new ConfigFiles({ "config.yaml": "" });
  const lay = (name: string, secret: string): void => {
    mkdirSync(files.path(name));
    writeFileSync(`${files.path(name)}/token`, `${secret}\n`, { mode: 0o600 });
    symlinkSync(name, files.path("..data_tmp"));
    renameSync(files.path("..data_tmp"), files.path("..data"));
  };
  lay("..1", "one");
  symlinkSync("..data/token", files.path("token"));
  files.write(
    "config.yaml",
    "auth: { providers: { a: { introspection: { endpoint: https://id, client_id: a, " +
      `client_secret: "\${file:${files.path("token")}}" } } } }\n`,
  );
  using watched = new Watched(await files.load());
  const secretOf = ({ auth }: Config): unknown => auth?.providers["a"]?.introspection?.clientSecret;
  assert.equal(secretOf(watched.source.config), "one");
  for (const secret of ["two", "three"]) {
    const reported = watched.next(isApplied);
    lay(`..${secret}`, secret);
    const report = await reported;
    assert.deepEqual(report.changed, ["auth.providers.a.introspection.client_secret"]);
    assert.equal(secretOf(watched.source.config), secret);
  }
});

test("reloads are on the metrics page", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { timeout: 1s }\n" });
  using watched = new Watched(await files.load());
  const metrics = new Metrics();
  const countOf = async (result: string): Promise<number> => {
    const page = await metrics.page();
    return Number(
      new RegExp(`^ts_ms_config_reloads_total\\{result="${result}"\\} (\\d+)$`, "m").exec(page)?.[1],
    );
  };
  const before = [await countOf("applied"), await countOf("rejected")];
  files.write("config.yaml", "http: { timeout: 2s, port: 1, host: a }\n");
  await watched.source.reload();
  files.write("config.yaml", "http: 1\n");
  await watched.source.reload();
  const after = [await countOf("applied"), await countOf("rejected")];
  assert.deepEqual(
    after.map((count, index) => count - (before[index] ?? 0)),
    [1, 1],
  );
  assert.match(await metrics.page(), /^ts_ms_config_restart_needed 2$/m);
});

test("SIGHUP reloads", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { timeout: 1s }\n" });
  await using program = new Program("test/core/config/fixtures/watch-signal.ts", files.path("config.yaml"));
  await program.line(/^ready$/);
  files.write("config.yaml", "http: { timeout: 2s }\n");
  process.kill(program.pid, "SIGHUP");
  await program.line(/^applied http\.timeout 2000$/);
  files.write("config.yaml", "http: { timeout: }\n  x");
  process.kill(program.pid, "SIGHUP");
  await program.line(/^rejected .* 2000$/);
});

test("a file that is gone is a mistake, and found when it is back", async () => {
  using files = new ConfigFiles({ "config.yaml": "app: { watch_config: true }\nhttp: { timeout: 1s }\n" });
  using watched = new Watched(await files.load());
  const rejected = watched.next(({ result }) => result === "rejected");
  rmSync(files.path("config.yaml"));
  assert.match((await rejected).problems.join("\n"), /cannot be read: there is no such file/);
  const applied = watched.next(isApplied);
  files.write("config.yaml", "app: { watch_config: true }\nhttp: { timeout: 2s }\n");
  await applied;
  assert.equal(watched.source.config.http.timeout, 2_000);
});
