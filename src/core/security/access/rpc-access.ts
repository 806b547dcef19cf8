import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { CallHead } from "../../admission/call-head.ts";
import type { Condition } from "../../condition/condition.ts";
import { rpcName } from "../../call/service.ts";
import type { Principal } from "../principal.ts";
import type { AccessLevel } from "../../admission/access-level.ts";
import { authObject, callObject } from "./condition-input.ts";
import { compileMatch, readPath, type Match } from "./match.ts";
import type { Rule } from "./rule.ts";

/** Why a call may not be made. */
export type Denial =
  | { readonly kind: "unknown" }
  | { readonly kind: "denied" }
  /** Scopes are missing. */
  | {
      readonly kind: "scope";
      readonly scopes: readonly string[];
      /** Whether all are needed, or one. */ readonly all: boolean;
    };

const unknown: Denial = Object.freeze({ kind: "unknown" });
const denied: Denial = Object.freeze({ kind: "denied" });

/** Who may call one rpc: the decision of one line, compiled. */
export class RpcAccess {
  readonly method: DescMethod;
  readonly level: AccessLevel;
  /** Undefined where a default decides. */
  readonly rule: Rule | undefined;
  /** Which line decides. */
  readonly place: string;
  /** Whether every call may be made. */
  readonly isOpen: boolean;
  /** Resolves when conditions are compiled, and rejects if they cannot be; undefined from then on. */
  pending: Promise<void> | undefined;
  readonly #match: Match | undefined;
  #when: Condition | undefined;

  /** @throws SetupError naming the place and what is wrong there */
  constructor(method: DescMethod, level: AccessLevel, rule: Rule | undefined, place: string) {
    this.method = method;
    this.level = level;
    this.rule = rule;
    this.place = place;
    this.isOpen = level === "public" && (rule === undefined || !hasCondition(rule));
    this.#match = rule && compileMatch(rule, method.input);
    if (rule?.resource !== undefined) readPath(rule.resource, method.input, `${place}: resource`);
    if (rule?.when !== undefined) {
      this.pending = this.#load(rule.when, rule.place).then(() => {
        this.pending = undefined;
      });
      this.pending.catch(() => {}); // Reported by who waits for it.
    }
  }

  /** Whether a message of the request has to be looked at. */
  get readsMessages(): boolean {
    return this.#match !== undefined || this.#when?.readsRequest === true;
  }

  /** Decides by the head of a call; undefined for one that may go on. */
  denial(call: CallHead, who: Principal | undefined): Denial | undefined {
    if (this.level === "deny") return denied;
    const { rule } = this;
    if (who === undefined && (this.level === "authenticated" || rule?.needsPrincipal === true))
      return unknown;
    if (rule === undefined) return undefined;
    if (rule.doors?.has(call.door) === false) return denied;
    if (rule.ranges?.has(call.client.ip) === false) return denied;
    const denial = who === undefined ? undefined : denialOf(rule, who);
    if (denial !== undefined) return denial;
    const when = this.#when;
    if (when === undefined || when.readsRequest) return undefined;
    const holds = when.holds({ request: undefined, auth: authObject(who), call: callObject(call) });
    return holds ? undefined : denied;
  }

  /** Decides by a message of the request, for a call whose head was let through. */
  allows(message: Message, call: CallHead, who: Principal | undefined): boolean {
    if (this.#match?.(message, who) === false) return false;
    const when = this.#when;
    if (when?.readsRequest !== true) return true;
    return when.holds({ request: message, auth: authObject(who), call: callObject(call) });
  }

  async #load(when: string, place: string): Promise<void> {
    const { compileCondition } = await import("../../condition/condition.ts");
    this.#when = await compileCondition(
      when,
      this.method.input,
      `${place}: when, for ${rpcName(this.method)}`,
    );
  }
}

/** What a rule says of a caller who is known. */
function denialOf(rule: Rule, { id, provider, roles, scopes }: Principal): Denial | undefined {
  if (rule.providers?.has(provider) === false || rule.principals?.has(id) === false) return denied;
  if (rule.roles !== undefined && !hasOne(rule.roles, roles)) return denied;
  const missing = rule.scopes.filter((scope) => !scopes.has(scope));
  if (missing.length > 0) return { kind: "scope", scopes: rule.scopes, all: true };
  const { anyScope } = rule;
  if (anyScope.length === 0 || anyScope.some((scope) => scopes.has(scope))) return undefined;
  return { kind: "scope", scopes: anyScope, all: false };
}

function hasOne(wanted: ReadonlySet<string>, found: ReadonlySet<string>): boolean {
  for (const name of wanted) if (found.has(name)) return true;
  return false;
}

function hasCondition({ doors, ips, match, needsPrincipal, when }: Rule): boolean {
  return needsPrincipal || doors !== undefined || ips.length > 0 || match.length > 0 || when !== undefined;
}
