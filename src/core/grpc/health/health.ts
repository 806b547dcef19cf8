import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckRequest,
  type HealthCheckResponseSchema,
  type HealthListRequest,
  type HealthListResponseSchema,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import type { HandlerContext } from "../../call/context.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import type { Service } from "../../call/service.ts";

/** The status of a service that a program can set. */
export type HealthStatus = "SERVING" | "NOT_SERVING" | "UNKNOWN";

/** Whether a service can be called, by its name; "" is the whole server. Undefined where the source knows nothing of it. */
export type HealthSource = (name: string) => boolean | undefined;

/**
 * Reports to clients and balancers which services can be called (`grpc.health.v1`, gRPC health checking protocol).
 *
 * The name "" means the whole server. Every service of the server is SERVING unless `setStatus()` has set another
 * status, or what serves it (`ask`) cannot be called; while the server drains, all are NOT_SERVING.
 */
export class HealthService implements Service<typeof Health> {
  readonly descriptor = Health;
  readonly #names: () => readonly string[];
  readonly #set = new Map<string, ServingStatus>();
  readonly #sources = new Set<HealthSource>();
  readonly #watchers = new Set<() => void>();
  #state: "serving" | "draining" | "closed" = "serving";
  #suspended = false;

  /** @param names Returns the current services of the server. */
  constructor(names: () => readonly string[]) {
    this.#names = names;
  }

  /** Sets the status of a service, which need not be one of this server, or of the whole server by the name "". */
  setStatus(name: string, status: HealthStatus): void {
    this.#set.set(name, ServingStatus[status]);
    this.changed();
  }

  /**
   * Asks `source` for the services whose status was not set, such as those of other servers; `changed()` is called when it
   * may say something else.
   *
   * @returns a function that ends that
   */
  ask(source: HealthSource): () => void {
    this.#sources.add(source);
    this.changed();
    return () => {
      this.#sources.delete(source);
      this.changed();
    };
  }

  /** The status of a service; undefined for an unknown one. */
  status(name: string): HealthStatus | undefined {
    const status = this.#status(name);
    if (status === undefined) return undefined;
    if (status === ServingStatus.SERVING) return "SERVING";
    return status === ServingStatus.NOT_SERVING ? "NOT_SERVING" : "UNKNOWN";
  }

  /** All services are NOT_SERVING from now on. */
  drain(): void {
    if (this.#state !== "serving") return;
    this.#state = "draining";
    this.changed();
  }

  /** All services are NOT_SERVING until `resume()`. */
  suspend(): void {
    this.#suspended = true;
    this.changed();
  }

  /** Ends what `suspend()` has begun. */
  resume(): void {
    this.#suspended = false;
    this.changed();
  }

  /** Ends every Watch, with UNAVAILABLE. */
  close(): void {
    this.#state = "closed";
    this.changed();
  }

  /** Wakes every Watch to compare its status; the server calls it when services were added. */
  changed(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake();
  }

  check({ service }: HealthCheckRequest): MessageInitShape<typeof HealthCheckResponseSchema> {
    const status = this.#status(service);
    if (status === undefined) throw new ConnectError(`no service "${service}" here`, Code.NotFound);
    return { status };
  }

  async *watch(
    { service }: HealthCheckRequest,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof HealthCheckResponseSchema>> {
    let sent: ServingStatus | undefined;
    while (!context.signal.aborted) {
      const status = this.#status(service) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== sent) yield { status };
      sent = status;
      if (this.#state === "closed") throw new ConnectError("the server is shutting down", Code.Unavailable);
      if (status === (this.#status(service) ?? ServingStatus.SERVICE_UNKNOWN))
        await this.#change(context.signal);
    }
  }

  list(_request: HealthListRequest): MessageInitShape<typeof HealthListResponseSchema> {
    const names = new Set(["", ...this.#names(), ...this.#set.keys()]);
    return {
      statuses: Object.fromEntries(
        [...names].map((name) => [name, { status: this.#status(name) ?? ServingStatus.UNKNOWN }]),
      ),
    };
  }

  #status(name: string): ServingStatus | undefined {
    const set = this.#set.get(name);
    if (set === undefined && name !== "" && !this.#names().includes(name)) return undefined;
    const serves = this.#state === "serving" && !this.#suspended;
    return serves ? (set ?? this.#asked(name)) : ServingStatus.NOT_SERVING;
  }

  #asked(name: string): ServingStatus {
    for (const source of this.#sources) if (source(name) === false) return ServingStatus.NOT_SERVING;
    return ServingStatus.SERVING;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        this.#watchers.delete(wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted || this.#state === "closed") wake();
    });
  }
}
