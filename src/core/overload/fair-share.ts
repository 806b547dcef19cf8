/** How much a contract says that a call matters. */
export type Criticality = "CRITICAL" | "DEFAULT" | "SHEDDABLE";

/** Most callers that are told apart. */
const maxCallers = 10_000;

/** Calls of a caller: of this half second, and of the one before. */
interface Counted {
  now: number;
  before: number;
}

/** All calls of one criticality. */
class Class {
  readonly callers = new Map<string, Counted>();
  /** Calls a second up to which a caller loses none. */
  level = Number.POSITIVE_INFINITY;

  count(caller: string): void {
    const counted = this.callers.get(caller);
    if (counted !== undefined) counted.now++;
    else if (this.callers.size < maxCallers) this.callers.set(caller, { now: 1, before: 0 });
  }

  turn(): void {
    for (const [caller, counted] of this.callers) {
      if (counted.now === 0) this.callers.delete(caller);
      counted.before = counted.now;
      counted.now = 0;
    }
  }

  /** Refuses so many calls of a second, from the callers with the most. @returns how many are left to refuse */
  refuse(calls: number): number {
    const rates = [...this.callers.values()].map(({ now, before }) => now + before);
    const total = rates.reduce((sum, rate) => sum + rate, 0);
    const refused = Math.min(calls, total);
    this.level = refused <= 0 ? Number.POSITIVE_INFINITY : levelOf(rates, total - refused);
    return calls - refused;
  }

  /** The chance of a caller's call to be refused. */
  chance(caller: string): number {
    if (this.level === Number.POSITIVE_INFINITY) return 0;
    const counted = this.callers.get(caller);
    const rate = counted === undefined ? 1 : counted.now + counted.before;
    return Math.max(0, 1 - this.level / rate);
  }
}

/**
 * Whose calls are refused while there are too many: those whose contract says that they can be, then those of callers
 * above their max-min fair share of the last second, then the others, and at last those that are critical.
 */
export class FairShare {
  readonly #classes: Readonly<Record<Criticality, Class>> = {
    SHEDDABLE: new Class(),
    DEFAULT: new Class(),
    CRITICAL: new Class(),
  };
  #isSharing = false;

  /** A call has come; open streams count once each half second. */
  count(criticality: Criticality, caller: string): void {
    this.#classes[criticality].count(caller);
  }

  /** Half a second has passed. */
  turn(): void {
    for (const one of Object.values(this.#classes)) one.turn();
  }

  /** Calls of the last second. */
  get total(): number {
    return Object.values(this.#classes).reduce((sum, { callers }) => sum + sumOf(callers), 0);
  }

  /** Whether calls are refused. */
  get isSharing(): boolean {
    return this.#isSharing;
  }

  /** From now on this share of all calls is refused, from 0 to 1. */
  set share(share: number) {
    this.#isSharing = share > 0;
    const { SHEDDABLE, DEFAULT, CRITICAL } = this.#classes;
    CRITICAL.refuse(DEFAULT.refuse(SHEDDABLE.refuse(share * this.total)));
  }

  /** The chance of a call to be refused, from 0 to 1. */
  chance(criticality: Criticality, caller: string): number {
    return this.#classes[criticality].chance(caller);
  }

  /** Forgets everything: there are no longer too many calls. */
  clear(): void {
    this.#isSharing = false;
    for (const one of Object.values(this.#classes)) {
      one.callers.clear();
      one.level = Number.POSITIVE_INFINITY;
    }
  }
}

function sumOf(callers: ReadonlyMap<string, Counted>): number {
  let sum = 0;
  for (const { now, before } of callers.values()) sum += now + before;
  return sum;
}

/** The level at which `capacity` is used up if no caller gets more than the level: max-min fairness. */
export function levelOf(rates: readonly number[], capacity: number): number {
  const sorted = rates.toSorted((a, b) => a - b);
  let left = capacity;
  for (const [at, rate] of sorted.entries()) {
    const fair = left / (sorted.length - at);
    if (rate >= fair) return fair;
    left -= rate;
  }
  return Number.POSITIVE_INFINITY;
}
