import type { DescMethod } from "@bufbuild/protobuf";
import { createContextKey, type ContextKey } from "@connectrpc/connect";
import type { CallHead } from "../../admission/call-head.ts";
import type { CredentialNeed, Gate, MessageCheck } from "../../admission/gate.ts";
import { refusal } from "../../admission/refusal.ts";
import { CallContext } from "../../call/context.ts";
import { rpcName } from "../../call/service.ts";
import { Code, toCallError, type ConnectError } from "../../errors/errors.ts";
import { principal } from "../principal.ts";
import type { AccessTable } from "./access-table.ts";
import type { Denial, RpcAccess } from "./rpc-access.ts";

/** How clients are told what they need. */
export interface AccessChallenges {
  /** The error of a call that needs credentials and has none. */
  missing(call: CallHead): ConnectError;
  /** Response headers that name the scopes which the caller does not have. */
  insufficientScope(call: CallHead, scopes: readonly string[]): Readonly<Record<string, string>>;
}

/** What an `AccessGate` is made of. */
export interface AccessGateInit {
  readonly table: AccessTable;
  /** Default: UNAUTHENTICATED without a challenge. */
  readonly challenges?: AccessChallenges;
}

/** Options of an `AccessGate`. */
export interface AccessGateOptions {
  /** Whether `use` may be called: then rpcs that all may call now are asked about too, and open streams are known. */
  readonly canChange: boolean;
}

/** The head of a call, for conditions on its messages. */
const headKey: ContextKey<CallHead | undefined> = createContextKey<CallHead | undefined>(undefined, {
  description: "the head of the call, for access rules",
});

/** A stream that was admitted and is judged again when the rules change. */
interface OpenStream {
  readonly call: CallHead;
  readonly context: CallContext;
}

/**
 * The gate of access rules. *Errors*: UNAUTHENTICATED where the caller has to be known and is not; PERMISSION_DENIED
 * with the reason `ACCESS_DENIED` for everything else.
 */
export class AccessGate implements Gate {
  readonly name = "access";
  readonly #canChange: boolean;
  #init: AccessGateInit;
  readonly #streams = new Set<OpenStream>();
  /** So many streams are kept before those that have ended are looked for. */
  #pruneAt = 64;

  constructor(init: AccessGateInit, { canChange }: AccessGateOptions = { canChange: false }) {
    this.#init = init;
    this.#canChange = canChange;
  }

  /**
   * Exchanges the rules. Calls under way end with those that they have begun with; open streams are judged again, and
   * those that are not allowed any more end with PERMISSION_DENIED.
   */
  use(init: AccessGateInit): void {
    this.#init = init;
    this.#prune();
    for (const { call, context } of this.#streams) {
      const access = init.table.of(call.method);
      const judge = (): void => {
        const denial = access.denial(call, principal(context));
        if (denial !== undefined)
          context.abort(this.#denied(call, denial.kind === "unknown" ? { kind: "denied" } : denial));
      };
      if (access.pending === undefined) judge();
      else access.pending.then(judge, (reason: unknown) => context.abort(toCallError(reason)));
    }
  }

  concerns(method: DescMethod): boolean {
    const { isOpen } = this.#init.table.of(method);
    return this.#canChange || !isOpen;
  }

  ready(): Promise<void> {
    return this.#init.table.ready();
  }

  /** What authentication has to find out before the rules can be asked. */
  needOf({ method }: CallHead): CredentialNeed {
    return this.needs(method);
  }

  needs(method: DescMethod): CredentialNeed {
    const { level, rule } = this.#init.table.of(method);
    if (level === "authenticated") return "required";
    if (level === "deny" || level === "public") return "none";
    return rule?.needsPrincipal === true ? "required" : "optional";
  }

  admit(call: CallHead): void | Promise<void> {
    const access = this.#init.table.of(call.method);
    if (access.isOpen && !this.#canChange) return undefined;
    if (access.pending !== undefined) return access.pending.then(() => this.#judge(call, access));
    return this.#judge(call, access);
  }

  messages(method: DescMethod): MessageCheck | undefined {
    const access = this.#init.table.of(method);
    const { rule } = access;
    const mayRead = rule !== undefined && (rule.match.length > 0 || rule.when !== undefined);
    if (!mayRead && !this.#canChange) return undefined;
    return {
      isDue: () => this.#init.table.of(method).readsMessages,
      check: (message, context) => {
        const current = this.#init.table.of(method);
        const call = context.values.get(headKey);
        if (call !== undefined && current.allows(message, call, principal(context))) return;
        throw accessDenied(method);
      },
    };
  }

  #judge(call: CallHead, access: RpcAccess): void {
    const denial = access.denial(call, principal(call.context));
    if (denial !== undefined) throw this.#denied(call, denial);
    if (access.rule !== undefined || this.#canChange) call.context.values.set(headKey, call);
    if (this.#canChange) this.#follow(call);
  }

  #follow(call: CallHead): void {
    const { context, method } = call;
    if (method.methodKind === "unary" || !(context instanceof CallContext)) return;
    this.#streams.add({ call, context });
    if (this.#streams.size > this.#pruneAt) this.#prune();
  }

  #prune(): void {
    for (const stream of this.#streams) if (stream.context.isEnded) this.#streams.delete(stream);
    this.#pruneAt = 64 + 2 * this.#streams.size;
  }

  #denied(call: CallHead, denial: Denial): ConnectError {
    const { challenges } = this.#init;
    if (denial.kind === "unknown") return challenges?.missing(call) ?? needsCredentials();
    if (denial.kind === "denied") return accessDenied(call.method);
    const { scopes, all } = denial;
    const text = all ? `the scopes ${scopes.join(" and ")}` : `one of the scopes ${scopes.join(", ")}`;
    return accessDenied(
      call.method,
      `${rpcName(call.method)} needs ${scopes.length === 1 ? `the scope ${scopes[0] ?? ""}` : text}`,
      challenges?.insufficientScope(call, scopes),
    );
  }
}

function accessDenied(
  method: DescMethod,
  message = `${rpcName(method)} may not be called so, or by this caller`,
  headers?: Readonly<Record<string, string>>,
): ConnectError {
  return refusal({
    kind: "denied",
    code: Code.PermissionDenied,
    reason: "ACCESS_DENIED",
    message,
    metadata: { rpc: rpcName(method) },
    ...(headers && { headers }),
  });
}

function needsCredentials(): ConnectError {
  return refusal({
    kind: "unauthenticated",
    code: Code.Unauthenticated,
    reason: "CREDENTIALS_MISSING",
    message: "this call needs credentials",
  });
}
