import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../call/context.ts";
import type { CallAnswer, CallArrival, CallObserver, RefusedCall } from "../call/observer.ts";
import { rpcName } from "../call/service.ts";
import { checkOptions } from "../config/check-options.ts";
import { codeName } from "../errors/code-name.ts";
import { Code, type ConnectError } from "../errors/errors.ts";
import { refusalKindOf } from "../errors/refusal-kind.ts";
import {
  type AccessFields,
  type AccessFormat,
  accessFields,
  accessFormats,
  accessLine,
} from "./access-line.ts";
import { principalIdOf, traceFields } from "./call-fields.ts";
import { messagesOf } from "./call-messages.ts";
import { LineLimit } from "./line-limit.ts";
import { type LogDestination, LogWriter } from "./log-writer.ts";
import { Redactor } from "./redact.ts";

/** What of the options can change while the log is in use. */
export interface AccessLogRules {
  /** Whether lines are written. Default: true. */
  readonly enabled: boolean;
  /** Share of the good calls that get a line, from 0 to 1; refused, failed and slow ones have one. Default: 1. */
  readonly sampleOk: number;
  /** A call that takes longer is slow, in milliseconds. Default: 1,000. */
  readonly slowMs: number;
}

/** Options of `AccessLog`. */
export interface AccessLogOptions extends AccessLogRules {
  /** `json`, or the formats `combined` and `common` of Apache. Default: `json`. */
  readonly format: AccessFormat;
  /** Where lines go: `stderr`, `stdout`, the path of a file, or what takes them. Default: `stderr`. */
  readonly destination: LogDestination | { write(line: string): void };
  /** The members of a line of JSON, by their names. Default: all. */
  readonly fields: readonly (keyof AccessFields)[];
  /** The most lines in a second of failed calls of one rpc with one code. Default: 100. */
  readonly maxPerSecond: number;
  /** Further names whose values are masked in targets, or what masks them. Default: none. */
  readonly redact: readonly string[] | Redactor;
}

/** The defaults of `AccessLogOptions`. */
export const accessLogDefaults: AccessLogOptions = Object.freeze({
  enabled: true,
  sampleOk: 1,
  slowMs: 1_000,
  format: "json",
  destination: "stderr",
  fields: accessFields,
  maxPerSecond: 100,
  redact: [],
});

/** A request over HTTP that has ended, as `HttpObserver.requestEnded` has it. */
interface EndedRequest {
  readonly head: {
    readonly method: string;
    readonly url: string;
    readonly httpVersion: string;
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    readonly requestId?: string | undefined;
  };
  readonly route: string | undefined;
  readonly outcome: number;
  readonly call: CallContext | undefined;
  readonly arrivedAt: number;
  readonly client: string;
  readonly record: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly answeredAt: number | undefined;
    readonly failure: ConnectError | undefined;
  };
}

/**
 * Writes a line for each request over HTTP and each call over gRPC or a WebSocket, when it has ended. Give it to servers
 * as one of their `observers`, and to an `HttpServer` as one of its `httpObservers` too.
 *
 * Values that are credentials are masked in targets. Lines of failed calls are limited for each rpc and code; one line a
 * second says how many were left out.
 */
export class AccessLog implements CallObserver {
  readonly #options: AccessLogOptions;
  readonly #writer: { write(line: string): void };
  readonly #redactor: Redactor;
  readonly #limit: LineLimit;
  /** Why calls were refused. */
  readonly #refusals = new WeakMap<CallContext, string>();
  #rules: AccessLogRules;

  /** @throws SetupError if an option is wrong, or the file cannot be opened */
  constructor(options: Partial<AccessLogOptions> = {}) {
    checkOptions<AccessLogOptions>("AccessLog", options, accessLogDefaults);
    const merged = { ...accessLogDefaults, ...options };
    this.#options = merged;
    this.#rules = merged;
    const { destination } = merged;
    this.#writer = typeof destination === "string" ? new LogWriter(destination) : destination;
    const { redact } = merged;
    this.#redactor = redact instanceof Redactor ? redact : new Redactor(redact);
    this.#limit = new LineLimit(merged.maxPerSecond, ({ rpc, code }, leftOut) => {
      const time = new Date().toISOString();
      const line = { time, msg: "lines were left out", rpc, code, left_out: leftOut };
      if (merged.format === "json") this.#writer.write(`${JSON.stringify(line)}\n`);
      else this.#writer.write(`# ${time} ${leftOut} lines of ${rpc} with ${code} were left out\n`);
    });
  }

  /** Formats of `AccessLogOptions.format`. */
  static readonly formats: readonly AccessFormat[] = accessFormats;

  /** From now on these rules hold. */
  update(rules: Partial<AccessLogRules>): void {
    this.#rules = { ...this.#rules, ...rules };
  }

  refused({ context, kind, arrival, method, protocolName, error, status = 200 }: RefusedCall): void {
    if (context !== undefined) {
      this.#refusals.set(context, kind);
      return;
    }
    if (arrival === undefined || !this.#writes(method, error.code, false, 0)) return;
    const isSocket = protocolName === "websocket";
    this.#write({
      ...this.#ofHead(arrival.head, arrival.client, isSocket ? "1.1" : "2.0"),
      ...ofCall(undefined, false),
      route: undefined,
      rpc: method && rpcName(method),
      status: isSocket ? 101 : status,
      code: codeName(error.code),
      door: protocolName,
      bytes_in: 0,
      bytes_out: 0,
      duration_ms: 0,
      ttfb_ms: undefined,
      refused_by: kind,
      request_id: undefined,
    });
  }

  requestEnded({ head, route, outcome, call, arrivedAt, record, client }: EndedRequest): void {
    const { failure, bytesIn, bytesOut, answeredAt } = record;
    const left = outcome === 499;
    const code = codeOf(failure, left, outcome);
    const durationMs = performance.now() - arrivedAt;
    if (!this.#writes(call?.method, code, outcome < 400, durationMs)) return;
    const length = head.headers["content-length"];
    this.#write({
      ...this.#ofHead(head, client, head.httpVersion),
      route,
      status: outcome,
      code: codeName(code),
      door: call?.protocolName ?? "http",
      bytes_in: bytesIn === 0 && typeof length === "string" ? Number(length) : bytesIn,
      bytes_out: bytesOut,
      duration_ms: rounded(durationMs),
      ttfb_ms: answeredAt === undefined ? undefined : rounded(answeredAt - arrivedAt),
      refused_by: this.#refusedBy(call, failure, outcome),
      ...ofCall(call, failure === undefined && !left),
      request_id: call?.requestId ?? head.requestId,
    });
  }

  answered(context: CallContext, { error, left }: CallAnswer): void {
    const { arrival } = context;
    if (arrival === undefined) return;
    const code = error?.code ?? 0;
    const durationMs = performance.now() - context.startedAt;
    if (!this.#writes(context.method, code, error === undefined, durationMs)) return;
    const isSocket = context.protocolName === "websocket";
    this.#write({
      ...this.#ofHead(arrival.head, arrival.client, isSocket ? "1.1" : "2.0"),
      route: undefined,
      status: left ? 499 : isSocket ? 101 : 200,
      code: codeName(code),
      door: context.protocolName,
      bytes_in: context.receivedBytes,
      bytes_out: context.sentBytes,
      duration_ms: rounded(durationMs),
      ttfb_ms: undefined,
      refused_by: this.#refusals.get(context),
      ...ofCall(context, error === undefined),
      request_id: context.requestId,
    });
  }

  #writes(method: DescMethod | undefined, code: number, isGood: boolean, durationMs: number): boolean {
    const { enabled, sampleOk, slowMs } = this.#rules;
    if (!enabled) return false;
    if (!isGood) return this.#limit.allows(method, code);
    return sampleOk >= 1 || durationMs > slowMs || Math.random() < sampleOk;
  }

  #ofHead(
    { method, url, headers, httpVersion }: CallArrival["head"],
    client: string,
    usualVersion: string,
  ): Pick<AccessFields, "time" | "method" | "target" | "http_version" | "client" | "user_agent" | "referer"> {
    const { "user-agent": agent, referer } = headers;
    return {
      time: new Date(),
      method,
      target: this.#redactor.target(url),
      http_version: httpVersion ?? usualVersion,
      client,
      user_agent: typeof agent === "string" ? agent : undefined,
      referer: typeof referer === "string" ? this.#redactor.target(referer) : undefined,
    };
  }

  #refusedBy(
    call: CallContext | undefined,
    failure: ConnectError | undefined,
    status: number,
  ): string | undefined {
    if (call !== undefined) return this.#refusals.get(call);
    if (failure === undefined) return undefined;
    const kind = refusalKindOf(failure);
    if (kind !== undefined) return kind;
    if (status === 404 || status === 405) return "no_route";
    return status === 503 ? "draining" : "malformed";
  }

  #write(fields: AccessFields): void {
    const { format, fields: names } = this.#options;
    this.#writer.write(accessLine(format, fields, names));
  }
}

function ofCall(
  call: CallContext | undefined,
  isGood: boolean,
): Pick<AccessFields, "rpc" | "messages_in" | "messages_out" | "principal" | "trace_id" | "span_id"> {
  if (call === undefined) {
    const [none, zero] = [undefined, 0];
    return {
      rpc: none,
      messages_in: zero,
      messages_out: zero,
      principal: none,
      trace_id: none,
      span_id: none,
    };
  }
  const { received, sent } = messagesOf(call, isGood);
  const { trace_id, span_id } = traceFields(call);
  return {
    rpc: rpcName(call.method),
    messages_in: received,
    messages_out: sent,
    principal: principalIdOf(call),
    trace_id,
    span_id,
  };
}

function codeOf(failure: ConnectError | undefined, left: boolean, status: number): number {
  if (failure !== undefined) return failure.code;
  if (left) return Code.Canceled;
  return status < 400 ? 0 : Code.Unknown;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
