import type { EndpointCheck } from "../cluster/health.ts";
import { Code } from "../errors/errors.ts";
import type { StreamSources } from "../http2/stream-source.ts";
import { Pauses } from "../time/pauses.ts";
import type { CheckParts } from "./check-parts.ts";
import { WatchStream, type WatchListener } from "./watch-stream.ts";

/** Pauses after streams that ended without an answer: 1 s × 1.6 up to 30 s, ± 20 %. */
const backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 };

/** The health of an endpoint by one stream on each of its connections (gRFC A17). */
export class WatchCheck implements EndpointCheck, WatchListener {
  readonly #parts: CheckParts;
  readonly #pauses: Pauses;
  #connection: StreamSources | undefined;
  #stream: WatchStream | undefined;
  #cancelPause: (() => void) | undefined;

  constructor(parts: CheckParts) {
    this.#parts = parts;
    this.#pauses = new Pauses(backoff, parts.random);
  }

  follow(connection: StreamSources | undefined): void {
    if (connection === this.#connection) return;
    this.close();
    this.#connection = connection;
    this.#pauses.reset();
    // A connection that is replaced by another one leaves no gap.
    if (connection === undefined) this.#parts.report("unknown");
    else this.#watch(connection);
  }

  close(): void {
    this.#connection = undefined;
    this.#cancelPause?.();
    this.#stream?.cancel();
  }

  answered(isServing: boolean): void {
    this.#pauses.reset();
    this.#parts.report(isServing ? "serving" : "not_serving");
  }

  ended(code: number): void {
    if (code === Number(Code.Unimplemented)) {
      this.#parts.unimplemented();
      this.#parts.report("serving");
      return;
    }
    const again = (): void => {
      if (this.#connection !== undefined) this.#watch(this.#connection);
    };
    this.#cancelPause = this.#parts.clock.after(this.#pauses.nextMs(), again, false);
    this.#parts.report("not_serving"); // Until it answers again.
  }

  #watch(connection: StreamSources): void {
    this.#stream = new WatchStream(this.#parts.options.service, connection, this);
    this.#stream.begin();
  }
}
