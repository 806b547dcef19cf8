import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { createClient } from "../call/client.ts";
import { toTransport } from "../call/transport.ts";
import type { EndpointCheck, EndpointHealth } from "../cluster/health.ts";
import { Code, toCallError } from "../errors/errors.ts";
import { http2Invoker } from "../grpc/client/http2-invoker.ts";
import type { StreamSources } from "../http2/stream-source.ts";
import { Pauses } from "../time/pauses.ts";
import type { CheckParts } from "./check-parts.ts";

/** Pauses after streams that ended without an answer: 1 s × 1.6 up to 30 s, ± 20 %. */
const backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 };

/** The health of an endpoint by one stream on each of its connections (gRFC A17). */
export class WatchCheck implements EndpointCheck {
  readonly #parts: CheckParts;
  readonly #pauses: Pauses;
  #connection: StreamSources | undefined;
  #stream: AbortController | undefined;
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
    this.#stream?.abort();
  }

  #watch(connection: StreamSources): void {
    const stream = (this.#stream = new AbortController());
    const { signal } = stream;
    const report = (health: EndpointHealth): void => {
      if (!signal.aborted) this.#parts.report(health);
    };
    void this.#read(connection, signal, report).then((isOver) => {
      if (signal.aborted || isOver) return;
      report("not_serving"); // Until it answers again.
      const again = (): void => this.#watch(connection);
      this.#cancelPause = this.#parts.clock.after(this.#pauses.nextMs(), again, false);
    });
  }

  /** Reads a stream to its end. @returns whether that was the last one on this connection; never rejects */
  async #read(
    connection: StreamSources,
    signal: AbortSignal,
    report: (health: EndpointHealth) => void,
  ): Promise<boolean> {
    const { service } = this.#parts.options;
    try {
      const client = createClient(Health, toTransport(http2Invoker(connection)));
      for await (const { status } of client.watch({ service }, { signal })) {
        this.#pauses.reset();
        report(status === Status.SERVING ? "serving" : "not_serving");
      }
      return false;
    } catch (reason) {
      if (toCallError(reason).code !== Code.Unimplemented) return false;
      if (!signal.aborted) this.#parts.unimplemented();
      report("serving");
      return true;
    }
  }
}
