import type { DescMethod } from "@bufbuild/protobuf";
import type { Invoker } from "../call/invoker.ts";
import { show } from "../config/check-options.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";
import { Selector } from "../policy/selector.ts";
import { checkList } from "./check-list.ts";
import { faultsInvoker } from "./faults.ts";
import { choosing, withBytes } from "../call/invoker-forms.ts";
import { Mirror } from "./mirror.ts";
import type { Reachable } from "./side.ts";
import { splitInvoker } from "./split.ts";
import { ruleMembers, type TrafficRule } from "./traffic-rule.ts";

/** The upstreams that rules may name. */
export interface NamedUpstreams {
  /** The upstream of this name; undefined for none. `reachable` makes one of an invoker. */
  find(name: string): Reachable | undefined;
  readonly names: readonly string[];
}

/** What a call goes through, in the two forms of an invoker. */
interface Compiled {
  readonly selector: Selector;
  readonly observed: Invoker;
  readonly unobserved: Invoker;
  readonly mirror: Mirror | undefined;
}

/**
 * The rules of a gateway: `invoker` makes calls as the rules say that were set last, and by `base` where no rule has the
 * rpc. A call finds its rule by one look-up.
 */
export class Traffic {
  readonly invoker: Invoker;
  readonly #base: Invoker;
  readonly #upstreams: NamedUpstreams;
  #rules: readonly Compiled[] = [];
  /** The rule of each rpc that was called; undefined for none. */
  #known = new WeakMap<DescMethod, Compiled | { readonly observed: Invoker; readonly unobserved: Invoker }>();

  /** @param base calls the upstream that has the service */
  constructor(base: Invoker, upstreams: NamedUpstreams) {
    this.#base = base;
    this.#upstreams = upstreams;
    const { unobserved } = base;
    this.invoker = {
      ...choosing(base, (method) => this.#of(method).observed),
      ...(unobserved && { unobserved: choosing(unobserved, (method) => this.#of(method).unobserved) }),
    };
  }

  /**
   * Replaces all rules, from the next call on.
   *
   * @throws SetupError naming rule and member; the rules are the old ones then
   */
  set(rules: readonly TrafficRule[]): void {
    checkList(rules, "traffic", "rules");
    const compiled = rules.map((rule, index) => this.#compile(rule, `traffic[${index}]`));
    const before = this.#rules;
    this.#rules = compiled;
    this.#known = new WeakMap();
    for (const { mirror } of before) mirror?.close();
  }

  /** The selectors that match none of these rpcs, for programs that know all of them. */
  unmatched(services: Parameters<Selector["unmatched"]>[0]): string[] {
    return this.#rules.flatMap(({ selector }) => selector.unmatched(services));
  }

  /** Ends all copies that are under way. */
  close(): void {
    for (const { mirror } of this.#rules) mirror?.close();
  }

  #of(method: DescMethod): { readonly observed: Invoker; readonly unobserved: Invoker } {
    let known = this.#known.get(method);
    if (known === undefined) {
      const base = this.#base;
      known = this.#rules.find(({ selector }) => selector.matches(method)) ?? {
        observed: base,
        unobserved: base.unobserved ?? base,
      };
      this.#known.set(method, known);
    }
    return known;
  }

  #compile(rule: TrafficRule, index: string): Compiled {
    if (typeof rule !== "object" || rule === null) {
      throw new SetupError(`${index} must be an object, not ${show(rule)}`);
    }
    for (const name of Object.keys(rule)) {
      if (Object.hasOwn(ruleMembers, name)) continue;
      const near = nearestName(name, Object.keys(ruleMembers));
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new SetupError(`${index}: there is no ${name}${hint}`);
    }
    const { selector, split, when, sticky, fallback, mirror, faults } = rule;
    if (typeof selector !== "string") throw new SetupError(`${index}: selector is missing`);
    const place = `${index} (${selector})`;
    const chosen = this.#selector(selector, index);
    if (split === undefined && (when ?? sticky ?? fallback) !== undefined) {
      throw new SetupError(`${place}: when, sticky and fallback need split`);
    }
    let invoker = this.#base;
    if (split !== undefined) {
      checkList(split, `${place}: split`, "sides");
      const sides = split.map((side) => ({ ...side, name: side.name ?? String(side.to) }));
      const options = {
        ...(when !== undefined && { when }),
        ...(sticky !== undefined && { sticky }),
        ...(fallback !== undefined && { fallback }),
        name: selector,
      };
      invoker = splitInvoker(
        sides,
        options,
        (to) => this.#upstream(to, `${place}: split`),
        `${place}: split`,
      );
    }
    let copies: Mirror | undefined;
    if (mirror !== undefined) {
      const { to, ...options } = mirror;
      const shadow = this.#upstream(to, `${place}: mirror`);
      copies = new Mirror(shadow.invoker, { ...options, name: to }, `${place}: mirror`);
      invoker = copies.around(invoker);
    }
    if (faults !== undefined) invoker = faultsInvoker(invoker, faults, { name: selector }, place);
    const { unobserved = invoker } = invoker;
    const form = (one: Invoker): Invoker => (this.#base.unaryBytes === undefined ? one : withBytes(one));
    return { selector: chosen, observed: form(invoker), unobserved: form(unobserved), mirror: copies };
  }

  #selector(text: string, place: string): Selector {
    try {
      return new Selector(text);
    } catch (error) {
      throw error instanceof SetupError ? new SetupError(`${place}: ${error.message}`) : error;
    }
  }

  #upstream(name: string, place: string): Reachable {
    const found = this.#upstreams.find(name);
    if (found !== undefined) return found;
    const { names } = this.#upstreams;
    const near = nearestName(String(name), names);
    const hint = near === undefined ? `there are ${names.join(", ") || "none"}` : `did you mean ${near}?`;
    throw new SetupError(`${place}: there is no upstream ${show(name)}; ${hint}`);
  }
}
