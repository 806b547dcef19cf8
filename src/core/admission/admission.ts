import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { AdmitCall, CallAdmission } from "../call/admit.ts";
import type { CallContext } from "../call/context.ts";
import type { FaultLog } from "../call/fault-log.ts";
import type { RequestCheck } from "../call/message-checks.ts";
import { type CallObserver, notifyFailed, notifyRefused } from "../call/observer.ts";
import { rpcName } from "../call/service.ts";
import { ConnectError, isUnexpected, toCallError } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { type Admitted, admittedGates, markAdmitted } from "./admitted.ts";
import { ArrivedCall, type CallSource } from "./arrived-call.ts";
import type { CallHead, DoorName } from "./call-head.ts";
import type { ClientAddresses } from "./client-address.ts";
import type { Gate } from "./gate.ts";
import { InnerCall } from "./inner-call.ts";
import { refusalKindByCode, refusalKindOf } from "./refusal.ts";

/**
 * Asks the gates of one rpc about a call, before its body is read. Returns undefined for a call that may go on at once,
 * a promise where a gate has to wait. The wait ends with the call: by its deadline, or when its client leaves.
 *
 * @param route path template of the REST route; undefined for other doors
 * @throws ConnectError, or rejects with it, for a call that is refused
 */
export type Admit = (
  door: DoorName,
  source: CallSource,
  context: CallContext,
  route?: string,
) => Promise<void> | undefined;

/** What an `Admission` is made of. */
export interface AdmissionParts {
  /** Asked in this order. */
  readonly gates: readonly Gate[];
  /** Notified of calls that are refused. */
  readonly observers: readonly CallObserver[];
  /** The log of exceptions of gates. */
  readonly faults: Pick<FaultLog, "call">;
  readonly addresses: ClientAddresses;
}

/** The gates of one server, by rpc: what concerns none of them costs nothing. */
export class Admission implements CallAdmission {
  readonly #parts: AdmissionParts;

  /** @throws SetupError for a gate that is none */
  constructor(parts: AdmissionParts) {
    for (const gate of parts.gates) checkGate(gate);
    this.#parts = parts;
  }

  /**
   * Asks which gates concern an rpc, once.
   *
   * @param waitMs how long gates may take for a call without a deadline, in milliseconds; 0 for any time
   * @returns undefined where none does
   */
  of(method: DescMethod, waitMs = 0): Admit | undefined {
    return this.#askOf(method, this.#concerned(method), waitMs);
  }

  /** As `of`, for other credentials of calls under way: gates that count calls are not asked. */
  again(method: DescMethod, waitMs = 0): Admit | undefined {
    const gates = this.#concerned(method).filter(({ countsCalls = false }) => !countsCalls);
    return this.#askOf(method, gates, waitMs);
  }

  #askOf(method: DescMethod, gates: readonly Gate[], waitMs: number): Admit | undefined {
    if (gates.length === 0) return undefined;
    const { addresses } = this.#parts;
    const all: Admitted = { method, gates };
    return (door, source, context, route) => {
      const head = new ArrivedCall(door, route, source, context, addresses);
      return this.#ask(gates, all, 0, head, context, waitMs);
    };
  }

  /** What the gates look at in the messages of an rpc; asked once. */
  messageChecks(method: DescMethod): readonly RequestCheck[] {
    return this.#concerned(method).flatMap((gate) => {
      const found = gate.messages?.(method);
      if (found === undefined) return [];
      const check: RequestCheck["check"] = (message, context) => found.check(message, context);
      return [{ by: gate, check, isDue: found.isDue && (() => found.isDue?.() !== false) }];
    });
  }

  /** Resolves when all gates can decide. @throws what one of them says is in the way */
  async ready(): Promise<void> {
    await Promise.all(this.#parts.gates.map(async (gate) => gate.ready?.()));
  }

  /** As `of`, for calls that are made in this process: gates that have admitted a call already are not asked again. */
  inProcess(method: DescMethod): AdmitCall | undefined {
    const gates = this.#concerned(method);
    if (gates.length === 0) return undefined;
    const all: Admitted = { method, gates };
    // Calls come by the same few servers: what is due behind one of them is found once.
    let lastKnown: Admitted["gates"] | undefined;
    let lastDue = gates;
    return (context) => {
      const known = admittedGates(context);
      if (known !== lastKnown) {
        lastDue = known === undefined ? gates : gates.filter((gate) => !known.includes(gate));
        lastKnown = known;
      }
      const due = lastDue;
      if (due.length === 0) return undefined;
      return this.#ask(due, all, 0, new InnerCall(context), context, 0);
    };
  }

  #concerned(method: DescMethod): readonly Gate[] {
    return this.#parts.gates.filter((gate) => gate.concerns?.(method) ?? true);
  }

  /** @param all the gates that have admitted the call in the end */
  #ask(
    gates: readonly Gate[],
    all: Admitted,
    first: number,
    head: CallHead,
    context: CallContext,
    waitMs: number,
  ): Promise<void> | undefined {
    for (let i = first; i < gates.length; i++) {
      const gate = gates[i];
      if (gate === undefined) continue;
      let waiting: void | Promise<void>;
      try {
        waiting = gate.admit(head);
      } catch (reason) {
        throw this.#refused(reason, gate, context);
      }
      if (waiting !== undefined) {
        return this.#askOn(waiting, gates, all, i, head, context, waitMs);
      }
    }
    markAdmitted(context, all);
    const { bodyCheck, envelope } = context;
    if (bodyCheck !== undefined) context.bodyCheck = this.#reported(context, bodyCheck);
    if (envelope?.open !== undefined) {
      context.envelope = { seal: envelope.seal, open: this.#reported(context, envelope.open) };
    }
    return undefined;
  }

  /** Lets observers know of a call that a gate refuses for its body, as of one that it refuses for its head. */
  #reported<T>(
    context: CallContext,
    look: (body: Uint8Array) => T | Promise<T>,
  ): (body: Uint8Array) => Promise<T> {
    return async (body) => {
      try {
        const seen = look(body);
        return seen instanceof Promise ? await context.race(seen) : seen;
      } catch (reason) {
        throw this.#refused(reason, bodyGate, context);
      }
    };
  }

  async #askOn(
    waiting: Promise<void>,
    gates: readonly Gate[],
    all: Admitted,
    asked: number,
    head: CallHead,
    context: CallContext,
    waitMs: number,
  ): Promise<void> {
    const since = performance.now();
    try {
      await withinTime(waiting, context, waitMs);
    } catch (reason) {
      // The gate itself was named, not the one behind it.
      const gate = gates[asked];
      throw gate === undefined ? toCallError(reason) : this.#refused(reason, gate, context);
    }
    const leftMs = waitMs === 0 ? 0 : Math.max(1, waitMs - (performance.now() - since));
    await this.#ask(gates, all, asked + 1, head, context, leftMs);
  }

  /** The error of a call that a gate does not admit, after it was reported. */
  #refused(reason: unknown, gate: Pick<Gate, "name">, context: CallContext): ConnectError {
    const { observers, faults } = this.#parts;
    const error =
      reason instanceof ConnectError
        ? reason
        : toCallError(new Error(`the gate ${gate.name} failed`, { cause: reason }));
    // A fault, or the end of a call that has waited for a gate, is no refusal: to observers it is a call.
    if (isUnexpected(error) || error === context.reason) {
      notifyFailed(observers, error, context);
      faults.call(error, context);
      return error;
    }
    notifyRefused(observers, refusalKindOf(error) ?? refusalKindByCode(error.code), error, context);
    return error;
  }
}

/** What names the gate that has looked at a body: several may have. */
const bodyGate = { name: "of the body" };

/** `waiting`, which rejects when the call ends, or after `waitMs` for a call without a deadline. */
async function withinTime(waiting: Promise<void>, context: CallContext, waitMs: number): Promise<void> {
  if (waitMs === 0 || context.deadline !== undefined) return context.race(waiting);
  const timer = setTimeout(() => {
    const text = `${rpcName(context.method)} was not admitted within its default timeout`;
    context.abort(new ConnectError(text, Code.DeadlineExceeded));
  }, waitMs);
  try {
    await context.race(waiting);
  } finally {
    clearTimeout(timer);
  }
}

function checkGate(gate: Gate): void {
  const { name, admit } = gate as Partial<Gate>; // Callers without TypeScript can pass anything.
  if (typeof name === "string" && name !== "" && typeof admit === "function") return;
  throw new SetupError("gates: each gate needs a name and a function admit, as the interface Gate says");
}
