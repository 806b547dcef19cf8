import type { DescMethod } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { CallContext } from "../call/context.ts";
import type { Invoker } from "../call/invoker.ts";
import { wrapCalls } from "../call/invoker-forms.ts";
import { LayeredStream } from "../call/layered-stream.ts";
import { toTransport } from "../call/transport.ts";
import { checkOptions } from "../config/check-options.ts";
import { type Code, ConnectError } from "../errors/errors.ts";
import { checkList } from "./check-list.ts";
import { askedFault, stripFaultHeaders, type AskedFault } from "./fault-headers.ts";
import { checkFault, type Fault, type FaultInit } from "./fault-options.ts";
import { reachableTransport } from "./side.ts";
import { trafficBooks, type TrafficCount } from "./traffic-books.ts";

/** Options of `faults`. */
export interface FaultsOptions {
  /** Label `rule` of metrics. Default: `faults`. */
  readonly name: string;
  /** Gives numbers from 0 up to 1. Default: `Math.random`. */
  readonly random: () => number;
}

/** The defaults of `FaultsOptions`. */
export const faultsDefaults: FaultsOptions = Object.freeze({ name: "faults", random: Math.random });

/**
 * A transport some of whose calls are delayed or fail, to learn what callers do then. Each fault has a chance of its
 * own: the delays of a call add up, then the first error ends it, before anything is sent.
 *
 * Headers by which Envoy's callers order faults (`x-envoy-fault-*`) are removed from all calls.
 *
 * @throws SetupError naming the fault and what is wrong
 */
export function faults(
  transport: Transport,
  list: readonly FaultInit[],
  options: Partial<FaultsOptions> = {},
): Transport {
  checkOptions<FaultsOptions>("faults", options, faultsDefaults);
  const { invoker } = reachableTransport(transport, "faults: the first argument");
  return toTransport(faultsInvoker(invoker, list, options, "faults"));
}

/** As `faults`, around an invoker. @param place for errors */
export function faultsInvoker(
  invoker: Invoker,
  list: readonly FaultInit[],
  options: Partial<FaultsOptions>,
  place: string,
): Invoker {
  checkList(list, `${place}: the faults`, "faults");
  const { name, random } = { ...faultsDefaults, ...options };
  const checked = list.map((fault, index) => checkFault(fault, `${place}: faults[${index}]`));
  if (checked.length === 0) return invoker;
  const injector = new Injector(checked, name, random);
  const over = (inner: Invoker): Invoker =>
    afterwards(inner, (method, context) => injector.before(method, context));
  const { unobserved } = invoker;
  return { ...over(invoker), ...(unobserved && { unobserved: over(unobserved) }) };
}

interface ActiveFault extends Fault {
  /** Calls that are held by it. */
  active: number;
}

class Injector {
  readonly #faults: readonly ActiveFault[];
  readonly #random: () => number;
  readonly #delays: TrafficCount;
  readonly #aborts: TrafficCount;

  constructor(list: readonly Fault[], name: string, random: () => number) {
    this.#faults = list.map((fault) => ({ ...fault, active: 0 }));
    this.#random = random;
    this.#delays = trafficBooks.faults.of(name, "delay");
    this.#aborts = trafficBooks.faults.of(name, "abort");
  }

  /**
   * What happens before a call: nothing, or a delay.
   *
   * @throws ConnectError where an error takes the place of the call; the promise rejects with it after a delay
   */
  before(method: DescMethod, context: CallContext): Promise<void> | undefined {
    let delayMs = 0;
    let held: ActiveFault[] | undefined;
    let error: ConnectError | undefined;
    if (!method.parent.typeName.startsWith("grpc.health.")) {
      for (const fault of this.#faults) {
        if (fault.selector?.matches(method) === false) continue;
        if (fault.when?.some((matches) => matches(context)) === false) continue;
        const asked = fault.allowHeaders ? askedFault(context) : undefined;
        const ownDelayMs = this.#delayOf(fault, asked);
        if (ownDelayMs !== undefined && fault.active < fault.maxActive) {
          delayMs += ownDelayMs;
          (held ??= []).push(fault);
        }
        const code = error === undefined ? this.#codeOf(fault, asked) : undefined;
        if (code !== undefined) error = new ConnectError(fault.message, code);
      }
    }
    stripFaultHeaders(context);
    if (held === undefined) {
      if (error === undefined) return undefined;
      this.#aborts.count++;
      throw error;
    }
    return this.#hold(held, delayMs, error, context);
  }

  #delayOf({ percent, delayMs, abort }: Fault, asked: AskedFault | undefined): number | undefined {
    if (abort !== undefined) return undefined;
    const ms = asked?.delayMs ?? delayMs;
    return ms !== undefined && this.#hits(percent, asked?.delayPercent) ? ms : undefined;
  }

  #codeOf({ percent, delayMs, abort }: Fault, asked: AskedFault | undefined): Code | undefined {
    if (delayMs !== undefined) return undefined;
    const code = asked?.abort ?? abort;
    return code !== undefined && this.#hits(percent, asked?.abortPercent) ? code : undefined;
  }

  #hits(percent: number, atMost = 100): boolean {
    const chance = Math.min(percent, atMost);
    return chance > 0 && this.#random() * 100 < chance;
  }

  async #hold(
    held: readonly ActiveFault[],
    delayMs: number,
    error: ConnectError | undefined,
    context: CallContext,
  ): Promise<void> {
    for (const fault of held) fault.active++;
    this.#delays.count++;
    try {
      await pause(delayMs, context);
    } finally {
      for (const fault of held) fault.active--;
    }
    if (error === undefined) return;
    this.#aborts.count++;
    throw error;
  }
}

/** Waits; rejects with the reason when the call is aborted, and resolves when its server stops. */
function pause(ms: number, context: CallContext): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
  const undrain = context.onDrain(resolve);
  return context.race(promise).finally(() => {
    clearTimeout(timer);
    undrain();
  });
}

/** `invoker`, each of whose calls begins after what `before` gives. */
function afterwards(
  invoker: Invoker,
  before: (method: DescMethod, context: CallContext) => Promise<void> | undefined,
): Invoker {
  return wrapCalls(invoker, {
    unary(method, context, call) {
      if (context.reason !== undefined) return Promise.reject(context.reason);
      try {
        return before(method, context)?.then(call) ?? call();
      } catch (error) {
        return Promise.reject(error);
      }
    },
    stream: (method, context, open) =>
      new LayeredStream({
        open() {
          if (context.reason !== undefined) throw context.reason;
          return before(method, context)?.then(open) ?? open();
        },
      }),
  });
}
