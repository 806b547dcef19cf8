import { execFileSync } from "node:child_process";
import { chownSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { freePort, KeptServer, type ServerCommand } from "./kept-server.ts";

/** Where Debian has the programs of each version. */
const versions = "/usr/lib/postgresql";
/** The user `nobody`: PostgreSQL does not run as root. */
const nobody = 65_534;

/** The folder with `initdb` and `postgres`; undefined without any. */
function programs(): string | undefined {
  if (!existsSync(versions)) return undefined;
  const folders = readdirSync(versions).map((version) => join(versions, version, "bin"));
  return folders.filter((folder) => existsSync(join(folder, "initdb"))).at(-1);
}

/** Why tests with PostgreSQL are skipped; false where it is installed. */
export const withoutPostgres: string | false =
  programs() === undefined && "PostgreSQL is not installed: apt-get install postgresql";

/** A PostgreSQL of this test; what was committed outlives a kill. Its user is `postgres`, without a password. */
export class PostgresServer extends KeptServer {
  readonly #settings: readonly string[];
  readonly #pools: pg.Pool[] = [];

  private constructor(port: number, settings: readonly string[]) {
    super("postgres", port);
    this.#settings = settings;
  }

  /** @param settings such as `fsync=on`; by default nothing waits for a disk, as only processes are killed */
  static async start(settings: readonly string[] = ["fsync=off"]): Promise<PostgresServer> {
    const server = new PostgresServer(await freePort(), settings);
    server.#initialize();
    await server.restart();
    return server;
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  /** A pool, which ends with the server. */
  pool(options: pg.PoolConfig = {}): pg.Pool {
    const pool = new pg.Pool({ connectionString: this.url, ...options });
    pool.on("error", () => {}); // Connections break when it is killed.
    this.#pools.push(pool);
    return pool;
  }

  /** Ends its connections, and itself. */
  override async stop(): Promise<void> {
    await Promise.all(this.#pools.splice(0).map((pool) => pool.end()));
    await super.stop();
  }

  protected command(): ServerCommand {
    const args = ["-D", this.#data, "-p", String(this.port), "-h", "127.0.0.1", "-k", this.folder];
    return { ...this.#run("postgres"), args: [...args, ...this.#settings.flatMap((one) => ["-c", one])] };
  }

  protected override async answers(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.url });
    client.on("error", () => {});
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }

  get #data(): string {
    return join(this.folder, "data");
  }

  #initialize(): void {
    const { program, uid } = this.#run("initdb");
    if (uid !== undefined) chownSync(this.folder, uid, uid);
    const args = [
      "-D",
      this.#data,
      "-A",
      "trust",
      "-U",
      "postgres",
      "--no-sync",
      "--no-locale",
      "-E",
      "UTF8",
    ];
    execFileSync(program, args, { stdio: "ignore", cwd: this.folder, ...(uid !== undefined && { uid }) });
  }

  #run(name: string): { program: string; uid?: number } {
    const program = join(programs() ?? "", name);
    return process.getuid?.() === 0 ? { program, uid: nobody } : { program };
  }
}
