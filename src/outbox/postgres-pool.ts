import { loadPeer } from "../core/config/optional-peer.ts";
import type { SqlPool, SqlPoolClient } from "./postgres-client.ts";

/** What is used of a pool of `pg`. */
interface Pool extends SqlPool {
  end(): Promise<void>;
  on(event: "error", listener: () => void): unknown;
}

/** How long a connection may take to be made, in milliseconds. */
const connectMs = 5_000;

/**
 * Connections to the PostgreSQL of a URL. They are made when they are needed, again after `end` too: a program that is
 * stopped can start again.
 */
export class UrlPool implements SqlPool {
  readonly #make: () => Pool;
  #pool: Pool | undefined;

  /**
   * @param url `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
   * @param max the most connections
   * @throws SetupError without the package `pg`
   */
  static async of(url: string, max: number): Promise<UrlPool> {
    // It is CommonJS, whose exports are the default alone in a bundle.
    const { default: pg } = await loadPeer("pg", "a store in PostgreSQL", () => import("pg"));
    return new UrlPool(() => new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: connectMs }));
  }

  private constructor(make: () => Pool) {
    this.#make = make;
  }

  connect(): Promise<SqlPoolClient> {
    if (this.#pool === undefined) {
      this.#pool = this.#make();
      this.#pool.on("error", () => {}); // An idle connection has ended; without a listener the event would throw.
    }
    return this.#pool.connect();
  }

  /** Closes those that there are, each as soon as it is given back. */
  async end(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end();
  }
}
