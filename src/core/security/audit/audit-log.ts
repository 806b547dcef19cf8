import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, createContextKey, type ContextKey } from "@connectrpc/connect";
import type { Gate, MessageCheck } from "../../admission/gate.ts";
import { refusal, type RefusalKind } from "../../admission/refusal.ts";
import { retryInfo } from "../../errors/retry-info.ts";
import { traceOf } from "../../call/call-trace.ts";
import { CallContext, type HandlerContext } from "../../call/context.ts";
import type { CallObserver, RefusedCall } from "../../call/observer.ts";
import { rpcName } from "../../call/service.ts";
import { checkOptions } from "../../config/check-options.ts";
import { codeName } from "../../errors/code-name.ts";
import type { ConnectError } from "../../errors/errors.ts";
import { requestId } from "../../metadata/request-id.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { principal } from "../principal.ts";
import type { SecurityLogger } from "../security-parts.ts";
import { AuditFile } from "./audit-file.ts";
import { AuditMarks, type AuditRules } from "./audit-marks.ts";
import { type AuditEntry, type AuditEvent, type ChainEnd, chainStart } from "./audit-record.ts";
import { SampledClients } from "./sampled-clients.ts";

/** Options of `AuditLog`. */
export interface AuditLogOptions {
  /** The file. Default: none; it must be given. */
  readonly destination: string;
  /**
   * Rpcs that are marked, beside those whose access rules say so: `package.Service/Method`, `package.Service/*` or
   * `package.*`. Default: none.
   */
  readonly rpc: readonly string[];
  /**
   * What becomes of calls of marked rpcs while records cannot be written: `deny` refuses them with UNAVAILABLE, `drop`
   * serves them and counts the records. Default: `deny`.
   */
  readonly onFailure: "deny" | "drop";
  /** The access rules in use, which mark rpcs. Default: the options of contracts alone. */
  readonly rules: () => AuditRules | undefined;
  /** Told when records cannot be written, and when they can again. Default: none. */
  readonly logger: SecurityLogger | undefined;
}

/** The defaults of `AuditLogOptions`. */
export const auditDefaults: AuditLogOptions = Object.freeze({
  destination: "",
  rpc: [],
  onFailure: "deny",
  rules: () => undefined,
  logger: undefined,
});

/** What has become of records. */
export interface AuditCounts {
  readonly written: number;
  /** Those that could not be written. */
  readonly dropped: number;
  /** Refused credentials, and requests that became no call, beyond ten of one client in a second. */
  readonly sampled: number;
}

/** Records of refused credentials and of requests that became no call, of one client in a second. */
const maxRefusedPerSecond = 10;

const resourceKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "what the call is about, for its audit record",
});

/**
 * Writes a record of each call of a marked rpc, of each request for one that could not become a call, and of each call
 * of any rpc that is refused for who makes it. Give it to
 * servers as one of their `observers`, and their gates by `around`.
 *
 * The record of a call is in the file before the status of its answer leaves, and that of a stream when it begins, too.
 */
export class AuditLog implements CallObserver {
  readonly #options: AuditLogOptions;
  readonly #marks: AuditMarks;
  readonly #clients = new SampledClients(maxRefusedPerSecond);
  /** Calls whose record is written. */
  readonly #recorded = new WeakSet<CallContext>();
  readonly #counts = { written: 0, dropped: 0, sampled: 0 };
  #file: AuditFile | undefined;
  /** Before the gates of authentication and access: notes what requests are about, also of those that are refused. */
  readonly first: Gate;
  /** Behind all other gates: refuses calls of marked rpcs while there can be no record of them. */
  readonly last: Gate;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: Partial<AuditLogOptions> & Pick<AuditLogOptions, "destination">) {
    checkOptions<AuditLogOptions>("AuditLog", options, auditDefaults);
    this.#options = { ...auditDefaults, ...options };
    const { destination, rpc, rules } = this.#options;
    if (destination === "") throw new SetupError("AuditLog: destination must be the path of a file");
    this.#marks = new AuditMarks(rpc, rules);
    this.first = {
      name: "audit-resource",
      admit() {},
      messages: (method) => this.#resourceCheck(method),
    };
    this.last = {
      name: "audit",
      countsCalls: true,
      admit: ({ context, method }) => this.#admit(method, context),
    };
  }

  /** `gates` with those of this log around them. */
  around(gates: readonly Gate[]): readonly Gate[] {
    return [this.first, ...gates, this.last];
  }

  /** Opens the file, and records the start. @throws SetupError if it cannot be opened, or has something else in it */
  open(): void {
    const { destination, logger } = this.#options;
    this.#file ??= new AuditFile(destination, {
      failed: (error) => {
        const reason = error instanceof Error ? error.message : String(error);
        logger?.warn({ reason, destination }, "audit records cannot be written");
      },
      recovered: (lost) => logger?.warn({ lost, destination }, "audit records are written again"),
    });
    this.write({ event: "start" });
  }

  /** Records the stop, and closes the file. */
  close(): void {
    if (this.#file === undefined) return;
    this.write({ event: "stop" });
    this.#file.close();
    this.#file = undefined;
  }

  /** Opens the file of this path again, after it was moved, as for SIGHUP. @throws SetupError as `open` */
  reopen(): void {
    this.#file?.reopen();
  }

  /** Writes a record. @returns whether it is in the file */
  write(entry: AuditEntry): boolean {
    const isWritten = this.#file?.append(entry) ?? false;
    this.#counts[isWritten ? "written" : "dropped"]++;
    return isWritten;
  }

  get counts(): AuditCounts {
    return { ...this.#counts };
  }

  /** Where the chain of records stands. */
  get end(): ChainEnd {
    return this.#file?.end ?? chainStart;
  }

  /** Names of the option `rpc` that match no rpc of these services. */
  unmatched(services: readonly DescService[]): readonly string[] {
    return this.#marks.unmatched(services);
  }

  /** Whether each call of an rpc has a record. */
  isMarked(method: DescMethod): boolean {
    return this.#marks.of(method).isMarked;
  }

  /** Makes servers find out addresses of clients, see `CallReports`. */
  arrived(): void {}

  answering(context: CallContext, error: ConnectError | undefined): void {
    if (!this.#recordEnd(context, error) && this.#options.onFailure === "deny") throw unrecorded();
  }

  /** For calls that have failed before their handler. */
  finished(context: CallContext, error: ConnectError | undefined): void {
    this.#recordEnd(context, error);
  }

  refused({ method, kind, error, context, arrival = context?.arrival, sender }: RefusedCall): void {
    if (method === undefined) return;
    const event = eventOfRefusal(kind) ?? (this.#marks.of(method).isMarked ? "refused" : undefined);
    if (event === undefined) return;
    const client = arrival?.client ?? sender?.client ?? "";
    // Anyone can send as many requests as he wants that no gate has looked at.
    const isSampled = event === "unauthenticated" || context === undefined;
    if (isSampled && !this.#clients.takes(client)) {
      this.#counts.sampled++;
      return;
    }
    const entry =
      context === undefined
        ? this.#headEntry(event, method, client, sender?.requestId, error)
        : this.#entryOf(event, context, "deny", error);
    this.write(entry);
  }

  /** Undefined where no rule will ever ask for it. */
  #resourceCheck(method: DescMethod): MessageCheck | undefined {
    const isDue = (): boolean => this.#marks.of(method).resource !== undefined;
    if (this.#options.rules() === undefined && !isDue()) return undefined;
    return {
      isDue,
      check: (message, { values }) => {
        const read = this.#marks.of(method).resource;
        if (read === undefined || values.get(resourceKey) !== undefined) return; // The first message of a stream counts.
        values.set(resourceKey, read(message).join(", "));
      },
    };
  }

  #admit(method: DescMethod, context: HandlerContext): void {
    if (!this.#marks.of(method).isMarked) return;
    const isDenying = this.#options.onFailure === "deny";
    const canWrite = this.#file?.recover() ?? false;
    if (!canWrite && isDenying) throw unrecorded();
    if (method.methodKind === "unary" || !(context instanceof CallContext)) return;
    // Its messages leave before its end.
    const isWritten = this.write(this.#entryOf("stream", context, "allow", undefined));
    if (!isWritten && isDenying) throw unrecorded();
  }

  /** Writes the record of the end of a call, once, if its rpc is marked. @returns false if it could not be written */
  #recordEnd(context: CallContext, error: ConnectError | undefined): boolean {
    const { isMarked, isAdmin } = this.#marks.of(context.method);
    if (!isMarked || this.#recorded.has(context)) return true;
    this.#recorded.add(context);
    return this.write(this.#entryOf(isAdmin ? "admin" : "call", context, "allow", error));
  }

  /** Of a request that became no call. */
  #headEntry(
    event: AuditEvent,
    method: DescMethod,
    client: string,
    request_id: string | undefined,
    error: ConnectError,
  ): AuditEntry {
    return {
      event,
      rpc: rpcName(method),
      decision: "deny",
      rule: this.#marks.of(method).rule,
      client: client === "" ? undefined : client,
      request_id,
      code: codeName(error.code),
    };
  }

  #entryOf(
    event: AuditEvent,
    context: CallContext,
    decision: "allow" | "deny",
    error: ConnectError | undefined,
  ): AuditEntry {
    const { method, arrival, valuesIfAny: values } = context;
    const who = values && principal({ values });
    const client = arrival?.client;
    return {
      event,
      principal: who?.id,
      provider: who?.provider,
      rpc: rpcName(method),
      resource: values?.get(resourceKey),
      decision,
      rule: this.#marks.of(method).rule,
      client: client === "" ? undefined : client,
      request_id: requestId(context),
      trace_id: traceOf(context)?.traceId,
      code: event === "stream" ? undefined : codeName(error?.code ?? 0),
    };
  }
}

/** The event of a call of any rpc; undefined where only marked ones have a record. */
function eventOfRefusal(kind: RefusalKind): AuditEvent | undefined {
  switch (kind) {
    case "unauthenticated":
    case "signature":
    case "replay":
      return "unauthenticated";
    case "denied":
    case "csrf":
    case "authorizer":
      return "denied";
    default:
      return undefined;
  }
}

/** After so many milliseconds a call may be made again that had no record. */
const retryMs = 1_000;

function unrecorded(): ConnectError {
  return refusal({
    kind: "overload",
    code: Code.Unavailable,
    reason: "AUDIT_UNAVAILABLE",
    message: "there can be no record of this call now, and without one it is not made",
    details: [retryInfo(retryMs)],
  });
}
