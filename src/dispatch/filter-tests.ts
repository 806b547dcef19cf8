import type { ConditionEvent, EventCondition } from "../core/condition/event-condition.ts";

/** What was found of a part of a filter. */
export interface Finding {
  /** Where the part is, such as `filter.any[0].exact.subject`. */
  readonly path: string;
  readonly holds: boolean;
  /** For people. */
  readonly why: string;
}

/**
 * A part of a filter that was compiled. There are some in each subscription that a process knows, so that they have no more
 * than they need to match; where a part is, is found out when findings are asked for.
 */
export interface FilterTest {
  /** Whether an event matches. @throws Error what a condition cannot compute, for people */
  holds(event: ConditionEvent): boolean;
  /** What is found of it, and of the filters in it. @param place where the filter is that it is a part of */
  findings(event: ConditionEvent, place: string): readonly Finding[];
}

/** The type of the event is one of some. */
export class TypesTest implements FilterTest {
  readonly #types: readonly string[];

  constructor(types: readonly string[]) {
    this.#types = types;
  }

  holds({ attributes }: ConditionEvent): boolean {
    const type = attributes.get("type");
    return type !== undefined && this.#types.includes(type);
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    const why = `type is ${JSON.stringify(event.attributes.get("type"))}`;
    return [{ path: `${place}.types`, holds: this.holds(event), why }];
  }
}

/** How an attribute is compared with a text. */
export type Comparison = "exact" | "prefix" | "suffix";

const verbs = { exact: "is", prefix: "begins with", suffix: "ends with" };

/** An attribute is a text, begins or ends with it. */
export class AttributeTest implements FilterTest {
  readonly #by: Comparison;
  readonly #name: string;
  readonly #text: string;

  constructor(by: Comparison, name: string, text: string) {
    this.#by = by;
    this.#name = name;
    this.#text = text;
  }

  holds({ attributes }: ConditionEvent): boolean {
    const value = attributes.get(this.#name);
    if (value === undefined) return false;
    if (this.#by === "exact") return value === this.#text;
    return this.#by === "prefix" ? value.startsWith(this.#text) : value.endsWith(this.#text);
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    const value = event.attributes.get(this.#name);
    const asked = `asked is that it ${verbs[this.#by]} ${JSON.stringify(this.#text)}`;
    const why =
      value === undefined
        ? `the event has no ${this.#name}`
        : `${this.#name} is ${JSON.stringify(value)}; ${asked}`;
    return [{ path: `${place}.${this.#by}.${this.#name}`, holds: this.holds(event), why }];
  }
}

/** Parts that must hold all, as a filter in another one. */
export class AllTest implements FilterTest {
  readonly #inner: readonly FilterTest[];

  constructor(inner: readonly FilterTest[]) {
    this.#inner = inner;
  }

  holds(event: ConditionEvent): boolean {
    return this.#inner.every((test) => test.holds(event));
  }

  /** Of itself too. @param place where it is itself */
  findings(event: ConditionEvent, place: string): readonly Finding[] {
    return [
      found(place, "all of it must hold", () => this.holds(event)),
      ...this.#inner.flatMap((test) => test.findings(event, place)),
    ];
  }
}

/** Filters that must hold all. */
export class AllOfTest implements FilterTest {
  readonly #filters: readonly AllTest[];

  constructor(filters: readonly AllTest[]) {
    this.#filters = filters;
  }

  holds(event: ConditionEvent): boolean {
    return this.#filters.every((filter) => filter.holds(event));
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    return this.#filters.flatMap((filter, at) => filter.findings(event, `${place}.all[${at}]`));
  }
}

/** Filters of which one must hold. */
export class AnyOfTest implements FilterTest {
  readonly #filters: readonly AllTest[];

  constructor(filters: readonly AllTest[]) {
    this.#filters = filters;
  }

  holds(event: ConditionEvent): boolean {
    return this.#filters.some((filter) => filter.holds(event));
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    const path = `${place}.any`;
    return [
      found(path, "one of it must hold", () => this.holds(event)),
      ...this.#filters.flatMap((filter, at) => filter.findings(event, `${path}[${at}]`)),
    ];
  }
}

/** A filter that must not hold. */
export class NotTest implements FilterTest {
  readonly #filter: AllTest;

  constructor(filter: AllTest) {
    this.#filter = filter;
  }

  holds(event: ConditionEvent): boolean {
    return !this.#filter.holds(event);
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    return [found(`${place}.not`, "it must not hold", () => this.holds(event))];
  }
}

/** A condition in CEL. */
export class ConditionTest implements FilterTest {
  readonly #condition: EventCondition;

  constructor(condition: EventCondition) {
    this.#condition = condition;
  }

  holds(event: ConditionEvent): boolean {
    return this.#condition.holds(event);
  }

  findings(event: ConditionEvent, place: string): readonly Finding[] {
    return [found(`${place}.cel`, "the condition is computed", () => this.holds(event))];
  }
}

/** @param holds throws what cannot be computed */
function found(path: string, why: string, holds: () => boolean): Finding {
  try {
    return { path, holds: holds(), why };
  } catch (reason) {
    const text = reason instanceof Error ? reason.message : String(reason);
    return { path, holds: false, why: `it cannot be computed: ${text}` };
  }
}
