import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { Selector } from "../../core/policy/selector.ts";
import { choosing, withBytes, type BytesInvoker } from "../../core/call/invoker-forms.ts";
import { reachable, type Reachable } from "../../core/traffic/side.ts";
import { Traffic } from "../../core/traffic/traffic.ts";
import type { TrafficRule } from "../../core/traffic/traffic-rule.ts";
import type { UpstreamEntry } from "./upstream-entry.ts";

/** What traffic rules are about. */
export interface TrafficParts {
  /** An invoker with every form of calls. */
  readonly form: BytesInvoker;
  /** What makes the calls of an rpc without a rule. */
  readonly choose: (method: DescMethod) => BytesInvoker;
  readonly find: (name: string) => UpstreamEntry | undefined;
  readonly names: () => readonly string[];
  /** Whether upstreams may still come that rules name already. */
  readonly isOpen: boolean;
}

/** A rule, and the upstreams that it names. */
interface NamingRule {
  readonly selector: Selector;
  readonly names: ReadonlySet<string>;
}

/** Traffic rules whose upstreams may become others, or come and go. */
export class UpstreamTraffic {
  readonly invoker: BytesInvoker;
  readonly #traffic: Traffic;
  readonly #chosen = new Map<DescMethod, BytesInvoker>();
  #rules: readonly NamingRule[] = [];

  constructor({ form, choose, find, names, isOpen }: TrafficParts) {
    const owner = (method: DescMethod): BytesInvoker => {
      let invoker = this.#chosen.get(method);
      if (invoker === undefined) this.#chosen.set(method, (invoker = choose(method)));
      return invoker;
    };
    const unobserved = choosing(form, (method) => {
      const chosen = owner(method);
      return chosen.unobserved === undefined ? chosen : withBytes(chosen.unobserved);
    });
    this.#traffic = new Traffic(
      { ...choosing(form, owner), unobserved },
      {
        find: (name) => (isOpen || find(name) !== undefined ? named(name, form, find) : undefined),
        get names() {
          return names();
        },
      },
    );
    this.invoker = withBytes(this.#traffic.invoker);
  }

  /** @throws SetupError naming rule and member; the rules are the old ones then */
  set(rules: readonly TrafficRule[]): void {
    this.#traffic.set(rules);
    this.#rules = rules.map(({ selector, split = [], when = [], mirror }) => ({
      selector: new Selector(selector),
      names: new Set([...split, ...when, ...(mirror === undefined ? [] : [mirror])].map(({ to }) => to)),
    }));
  }

  /** Whether a rule sends calls of that service to that upstream. */
  isShared(upstream: string, { methods }: DescService): boolean {
    return this.#rules.some(
      ({ selector, names }) => names.has(upstream) && methods.some((method) => selector.matches(method)),
    );
  }

  /** From the next call on, other upstreams may have the services. */
  forget(): void {
    this.#chosen.clear();
  }

  /** Ends all copies that are under way. */
  close(): void {
    this.#traffic.close();
  }
}

/** The upstream that has a name at the time of each call. */
function named(
  name: string,
  form: BytesInvoker,
  find: (name: string) => UpstreamEntry | undefined,
): Reachable {
  const invoker = choosing(form, () => {
    const entry = find(name);
    if (entry === undefined) throw new ConnectError(`there is no upstream ${name} now`, Code.Unavailable);
    return entry.invoker;
  });
  return reachable(invoker, {
    get state() {
      return find(name)?.state ?? "transient-failure";
    },
    ready: async () => find(name)?.ready(),
  });
}
