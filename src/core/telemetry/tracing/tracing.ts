import type { CallContext } from "../../call/context.ts";
import type { CallAnswer, CallArrival, CallObserver, RefusedCall } from "../../call/observer.ts";
import { checkOptions, checkRequired } from "../../config/check-options.ts";
import { Code, type ConnectError } from "../../errors/errors.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { Traces } from "./traces.ts";
import {
  traceAcceptance,
  tracingDefaults,
  type TracingOptions,
  type TracingRules,
} from "./tracing-options.ts";

/** The packages that traces need. */
const packages = [
  "@opentelemetry/api",
  "@opentelemetry/sdk-trace",
  "@opentelemetry/resources",
  "@opentelemetry/context-async-hooks",
  "@opentelemetry/otlp-exporter-base",
  "@opentelemetry/otlp-transformer",
];

/** A request over HTTP that has ended, as `HttpObserver.requestEnded` has it. */
interface EndedRequest {
  readonly head: CallArrival["head"] & {
    readonly httpVersion: string;
    readonly requestId?: string | undefined;
    readonly continues?: boolean;
  };
  readonly route: string | undefined;
  readonly outcome: number;
  readonly call: CallContext | undefined;
  readonly client: string;
  readonly isSecure: boolean;
  readonly arrivedAt: number;
  readonly record: { readonly failure: ConnectError | undefined };
}

/**
 * Traces that go to a collector. Give it to servers as one of their `observers`, and to an `HttpServer` as one of its
 * `httpObservers` too; calls that `dial` makes over the network are traced while there is one.
 */
export class Tracing implements CallObserver, AsyncDisposable {
  readonly #traces: Traces;

  /** @internal Use `startTracing`. */
  constructor(traces: Traces) {
    this.#traces = traces;
  }

  /** From now on these rules hold. @throws SetupError naming a rule that is wrong */
  update(rules: Partial<TracingRules>): void {
    checkRules(rules);
    this.#traces.update(rules);
  }

  arrived(context: CallContext, arrival: CallArrival): void {
    this.#traces.arrived(context, arrival);
  }

  requestEnded(request: EndedRequest): void {
    const { head, route, outcome, call, client, record } = request;
    const { failure } = record;
    const { httpVersion } = head;
    if (call === undefined) {
      if (failure !== undefined && head.continues !== true) this.#refusedRequest(request, failure);
      return;
    }
    if (call.arrival === undefined) return;
    const code = failure?.code ?? (outcome === 499 ? Code.Canceled : 0);
    this.#traces.ended(call, call.arrival, { code, status: outcome, route, httpVersion, client });
  }

  /** A request over HTTP is in `requestEnded`. */
  refused({ context, arrival, method, protocolName, error, sender }: RefusedCall): void {
    if (context !== undefined || arrival === undefined) return;
    const { httpVersion = protocolName === "websocket" ? "1.1" : "2.0" } = arrival.head;
    const of = { method, protocolName, requestId: sender?.requestId, httpVersion };
    const end = { code: error.code, status: undefined, route: undefined };
    this.#traces.refused.add(arrival, { ...of, ...end }, performance.now());
  }

  #refusedRequest(request: EndedRequest, { code }: ConnectError): void {
    const { head, route, outcome: status, client, isSecure, arrivedAt } = request;
    const { requestId, httpVersion } = head;
    const of = { method: undefined, protocolName: "http", requestId, httpVersion };
    const arrival = { head, isSecure, isTrusted: false, client };
    this.#traces.refused.add(arrival, { ...of, code, status, route }, arrivedAt);
  }

  answered(context: CallContext, { error }: CallAnswer): void {
    const { arrival } = context;
    if (arrival === undefined) return;
    const { httpVersion = context.protocolName === "websocket" ? "1.1" : "2.0" } = arrival.head;
    const code = error?.code ?? 0;
    const end = { code, status: undefined, route: undefined, httpVersion, client: arrival.client };
    this.#traces.ended(context, arrival, end);
  }

  /** Sends what waits. Resolves when the collector has taken or refused it. */
  flush(): Promise<void> {
    return this.#traces.flush();
  }

  /** Ends all traces, and sends what waits for `flushTimeoutMs` at the longest. Idempotent. */
  stop(): Promise<void> {
    return this.#traces.stop();
  }

  /** As `stop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Starts traces by OpenTelemetry: a span for each call that comes over a connection, and for each attempt of a call that
 * `dial` makes over the network. Spans that handlers make by `@opentelemetry/api` are parts of them. There is one at a
 * time in a process.
 *
 * @throws SetupError naming the option that is wrong, or the packages to install
 */
export async function startTracing(
  options: Partial<TracingOptions> & Pick<TracingOptions, "endpoint">,
): Promise<Tracing> {
  checkOptions<TracingOptions>("startTracing", options, { ...tracingDefaults, endpoint: "" });
  const { endpoint } = options;
  checkRequired("startTracing", "endpoint", endpoint, URL.canParse(endpoint), "URL of a collector");
  checkRules(options);
  const { Traces } = await import("./traces.ts").catch((cause: unknown) => {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new SetupError(`traces need packages that are not installed: npm install ${packages.join(" ")}`, {
      cause,
    });
  });
  return new Tracing(new Traces({ ...tracingDefaults, ...options }));
}

function checkRules({ sampleRatio, accept, maxPerSecond }: Partial<TracingRules>): void {
  if (sampleRatio !== undefined && !(sampleRatio >= 0 && sampleRatio <= 1)) {
    throw new SetupError(`sampleRatio must be a number from 0 to 1, ${sampleRatio} is none`);
  }
  if (accept !== undefined && !traceAcceptance.includes(accept)) {
    throw new SetupError(
      `accept must be one of ${traceAcceptance.join(", ")}, not ${JSON.stringify(accept)}`,
    );
  }
  if (maxPerSecond !== undefined && !(maxPerSecond >= 0)) {
    throw new SetupError(`maxPerSecond must be a number that is not negative, ${maxPerSecond} is none`);
  }
}
