import { SetupError } from "../core/errors/setup-error.ts";
import {
  defaultGraceMs,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
  sumOfReports,
} from "../core/lifecycle/lifecycle.ts";
import { formatAddress } from "../core/net/listener.ts";
import type { AppServer, ServerInfo } from "./app-server.ts";
import { ServerSlot, type SlotOptions, type SlotOwner } from "./server-slot.ts";
import { startOrder } from "./start-order.ts";

/** The servers of an app by their names, each of which can be started and stopped while the others serve. */
export class Servers {
  readonly #slots = new Map<string, ServerSlot>();
  /** How often all were stopped. */
  #stops = 0;

  /** @throws SetupError if the name is in use */
  add(name: string, options: SlotOptions, owner: SlotOwner): void {
    if (name === "") throw new SetupError("a server needs a name");
    if (this.#slots.has(name)) throw new SetupError(`a server "${name}" is registered already`);
    this.#slots.set(name, new ServerSlot(name, options, owner));
  }

  has(name: string): boolean {
    return this.#slots.has(name);
  }

  /** @throws SetupError with all names, for an unknown one */
  slot(name: string): ServerSlot {
    const slot = this.#slots.get(name);
    if (slot !== undefined) return slot;
    const names = [...this.#slots.keys()].map((known) => `"${known}"`).join(", ");
    throw new SetupError(
      `there is no server "${name}"; ${names === "" ? "none is registered" : `those of the app are ${names}`}`,
    );
  }

  /** All slots, in the order of registration. */
  get all(): readonly ServerSlot[] {
    return [...this.#slots.values()];
  }

  /** The servers that are there: starting, running or stopping. */
  get present(): readonly AppServer[] {
    return this.all.flatMap(({ server }) => server ?? []);
  }

  get infos(): readonly ServerInfo[] {
    return this.all.map(infoOf);
  }

  /**
   * Starts those that do not run, each behind those that it comes after. When one fails, those that this call has
   * started are stopped again.
   *
   * @throws SetupError naming the server that cannot start
   */
  async start(): Promise<void> {
    const started: ServerSlot[] = [];
    const stops = this.#stops;
    for (const slot of startOrder(this.all)) {
      if (slot.isRunning) continue;
      try {
        if (stops !== this.#stops) throw new SetupError("the app was stopped while it was starting");
        await slot.start();
        started.push(slot);
      } catch (error) {
        if (slot.goesWithout(error)) continue;
        for (const other of started.reverse()) await other.stop({ graceMs: 0 });
        throw error;
      }
    }
  }

  /** Stops all of them, in the reverse order, within one grace period. */
  async stop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    this.#stops++;
    const end = performance.now() + graceMs;
    const order = this.#stopOrder;
    for (const { server } of order) server?.drain();
    const reports: StopReport[] = [];
    for (const slot of order) {
      reports.push(await slot.stop({ graceMs: Math.max(end - performance.now(), 0) }));
    }
    return sumOfReports(reports);
  }

  /**
   * The servers for the handling of signals, in the order of the stop.
   *
   * @param isUp whether the start of the app is over: from then on a server that is started or stopped by itself does
   *   not count as one whose program is starting
   */
  managed(isUp: () => boolean): Iterable<ManagedServer> {
    const order = (): readonly ServerSlot[] => this.#stopOrder;
    return {
      *[Symbol.iterator]() {
        for (const slot of order()) yield managedSlot(slot, isUp);
      },
    };
  }

  /** The reverse order of the start; servers whose order is wrong were started one by one. */
  get #stopOrder(): readonly ServerSlot[] {
    try {
      return startOrder(this.all).toReversed();
    } catch {
      return this.all.toReversed();
    }
  }
}

function managedSlot(slot: ServerSlot, isUp: () => boolean): ManagedServer {
  return {
    name: slot.server?.name ?? slot.name,
    get state(): ServerState {
      if (isUp()) return "ready";
      return slot.state === "stop" ? "init" : slot.state; // Stopped again as another one could not start.
    },
    drain: () => slot.server?.drain(),
    gracefulStop: (options = {}) => slot.stop(options),
  };
}

function infoOf({ name, state, isRunning, server }: ServerSlot): ServerInfo {
  const address = server?.address;
  return {
    name,
    state,
    isRunning,
    addresses: address === undefined ? [] : [formatAddress(address)],
    isSecure: server?.isSecure ?? false,
    services: server?.services?.map(({ typeName }) => typeName) ?? [],
  };
}
