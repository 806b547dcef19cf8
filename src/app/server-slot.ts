import { SetupError } from "../core/errors/setup-error.ts";
import type { ServerState, StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { AppServer } from "./app-server.ts";

const nothing: StopReport = Object.freeze({ finished: 0, notified: [], cut: [] });

/** How a server is started with the others. */
export interface SlotOptions {
  /** Names of the servers before it. Default: none. */
  readonly after?: readonly string[];
  /** Whether the app starts without it, after an error of its start. Default: it does not. */
  readonly goesWithout?: (error: unknown) => boolean;
}

/** What a `ServerSlot` needs of its app. */
export interface SlotOwner {
  /** Makes the server and hands it what all servers of the app get. */
  make(): AppServer | Promise<AppServer>;
  /** The server is in another state. */
  changed(state: ServerState): void;
  /** The server has stopped, or was never started; it is not used any more. */
  dropped(server: AppServer): void;
}

/** Whether it serves; its state changes by itself. */
function isReady({ state }: AppServer): boolean {
  return state === "ready";
}

/**
 * The place of one server in an app. The server itself is made at each start: one that has stopped cannot start again.
 *
 * ```
 * empty ──start──▶ starting ──▶ running ──stop──▶ stopping ──▶ empty
 *                     └── fails, or is stopped ──────▲
 * ```
 */
export class ServerSlot {
  readonly name: string;
  readonly after: readonly string[];
  /** Whether the app starts without this server, after an error of its start. */
  readonly goesWithout: (error: unknown) => boolean;
  readonly #owner: SlotOwner;
  #server: AppServer | undefined;
  #making: Promise<AppServer> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<StopReport> | undefined;
  #forget: () => void = () => {};
  /** Whether it was stopped before there was a server. */
  #cancelled = false;
  #lastState: ServerState = "init";

  constructor(name: string, { after = [], goesWithout = () => false }: SlotOptions, owner: SlotOwner) {
    this.name = name;
    this.after = after;
    this.goesWithout = goesWithout;
    this.#owner = owner;
  }

  /** The server, from its start to the end of its stop; undefined otherwise. */
  get server(): AppServer | undefined {
    return this.#server;
  }

  get state(): ServerState {
    return this.#server?.state ?? this.#lastState;
  }

  get isRunning(): boolean {
    return this.state === "ready";
  }

  /** The server of the next start, made now if there is none yet: it can be asked without a port. */
  async made(): Promise<AppServer> {
    await this.#stopping;
    return this.#server ?? (await this.#make());
  }

  /**
   * Starts a new server, unless one runs. While one stops, it waits for the end of that.
   *
   * @throws SetupError naming the server if it cannot start, or is stopped meanwhile
   */
  start(): Promise<void> {
    return (this.#starting ??= this.#start().finally(() => (this.#starting = undefined)));
  }

  /** Stops the server, even while it starts; without one it does nothing. Resolves when no server is left. */
  async stop(options: StopOptions): Promise<StopReport> {
    const server = this.#server;
    if (server === undefined) {
      this.#cancelled = true;
      await this.#starting?.catch(() => {});
      return nothing;
    }
    return (this.#stopping ??= this.#stop(server, options).finally(() => (this.#stopping = undefined)));
  }

  async #start(): Promise<void> {
    this.#cancelled = false;
    try {
      const server = await this.made();
      if (isReady(server)) return;
      if (!this.#cancelled) await server.start();
      // What it needs may be away: it becomes ready by itself.
      if (!isReady(server) && server.state !== "listen") {
        throw new SetupError("it was stopped while it was starting");
      }
    } catch (cause) {
      if (this.#server !== undefined) await this.stop({ graceMs: 0 });
      // Mistakes in the configuration are no server's.
      if (cause instanceof SetupError && cause.name === "ConfigError") throw cause;
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError(`the server "${this.name}" cannot start: ${problem}`, { cause });
    }
  }

  #make(): Promise<AppServer> {
    this.#making ??= (async () => {
      const server = await this.#owner.make();
      this.#server = server;
      this.#forget = server.onStateChange?.((state) => this.#owner.changed(state)) ?? (() => {});
      return server;
    })().finally(() => (this.#making = undefined));
    return this.#making;
  }

  async #stop(server: AppServer, options: StopOptions): Promise<StopReport> {
    try {
      return await server.gracefulStop(options);
    } finally {
      this.#lastState = "stop";
      this.#server = undefined;
      this.#forget();
      this.#owner.dropped(server);
    }
  }
}
