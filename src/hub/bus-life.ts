import type { Bus, BusNode } from "./bus/bus.ts";
import type { Nodes } from "./nodes/nodes.ts";

/** Starts and closes the bus of a hub, with its servers: what needs it while it is away is refused. Never throws. */
export class BusLife {
  readonly #bus: Bus;
  readonly #node: BusNode;
  readonly #nodes: Nodes;
  #isOn = false;
  #closing: Promise<void> | undefined;

  constructor(bus: Bus, node: BusNode, nodes: Nodes) {
    this.#bus = bus;
    this.#node = node;
    this.#nodes = nodes;
  }

  start(): void {
    if (this.#closing !== undefined) {
      void this.#closing.then(() => this.start());
      return;
    }
    this.#isOn = true;
    const started = this.#bus.start(this.#node);
    started.then(() => this.#isOn && this.#nodes.start()).catch(() => {});
  }

  /** The node says that it stops; then the bus is closed. */
  close(): void {
    this.#isOn = false;
    this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#nodes.stop();
    await this.#bus.close().catch(() => {}); // A bus that is away is closed.
    this.#closing = undefined;
  }
}
