import type { ListenAddress } from "../net/listener.ts";
import { Exporter, type MetricsPages } from "../telemetry/exporter.ts";
import type { WantedPage } from "./worker-messages.ts";

/** The page of metrics, where workers want it: at one address. */
export class PrimaryPage {
  readonly #metrics: MetricsPages;
  #key = "";
  #exporter: Exporter | undefined;
  #opening: Promise<ListenAddress> | undefined;

  constructor(metrics: MetricsPages) {
    this.#metrics = metrics;
  }

  /** @returns where it is. @throws Error as of `Exporter.start` */
  open(wanted: WantedPage): Promise<ListenAddress> {
    const key = `${wanted.host} ${wanted.port} ${wanted.path}`;
    if (this.#opening !== undefined && key === this.#key) return this.#opening;
    this.#key = key;
    const opening = this.#move(wanted);
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined; // The next one tries again.
    });
    return opening;
  }

  async #move(wanted: WantedPage): Promise<ListenAddress> {
    const exporter = new Exporter({ ...wanted, metrics: this.#metrics });
    await exporter.start();
    void this.#exporter?.gracefulStop({ graceMs: 0 }); // Other workers wanted it elsewhere.
    this.#exporter = exporter;
    return exporter.address ?? wanted;
  }
}
