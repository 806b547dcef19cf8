import type { Transport } from "@connectrpc/connect";
import type { CallContext } from "../call/context.ts";
import type { Invoker } from "../call/invoker.ts";
import { toTransport } from "../call/transport.ts";
import { checkOptions, show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";
import { checkList } from "./check-list.ts";
import { choosing, ofOneForm } from "../call/invoker-forms.ts";
import { matcherOf, type Matcher, type RequestTest } from "./matcher.ts";
import { reachableTransport, type Reachable } from "./side.ts";
import { places, placeSticky, type StickyInit } from "./sticky.ts";
import { trafficBooks, type TrafficCount } from "./traffic-books.ts";

/** A share of the calls, and where it goes. */
export interface SplitSide<To = Transport> {
  readonly to: To;
  /** The share of this side, in relation to the weights of the others; 0 for those calls alone that a test sends here. */
  readonly weight: number;
  /** Label of metrics. Default: `side 1`, `side 2`, …; in rules the name of the upstream. */
  readonly name?: string;
}

/** A test with the side of the calls that pass it. */
export interface WhenTest<To = Transport> extends RequestTest {
  /** One of the sides. */
  readonly to: To;
}

/** Options of `split`. */
export interface SplitOptions<To = Transport> {
  /** Tests of the caller's request: the first that it passes decides, before any weight. Default: none. */
  readonly when: readonly WhenTest<To>[];
  /** Keeps each caller on its side while weights stay. Default: each call is placed by chance. */
  readonly sticky: StickyInit | undefined;
  /** Whether calls of a side that cannot be reached go to the first side. Default: true. */
  readonly fallback: boolean;
  /** Label `rule` of metrics. Default: `split`. */
  readonly name: string;
  /** Gives numbers from 0 up to 1. Default: `Math.random`. */
  readonly random: () => number;
}

/** The defaults of `SplitOptions`. */
export const splitDefaults: SplitOptions<never> = Object.freeze({
  when: [],
  sticky: undefined,
  fallback: true,
  name: "split",
  random: Math.random,
});

/**
 * A transport that divides calls among others, by weight or by tests of the caller's request.
 *
 * The first side has the upper end of the scale on which callers are placed: a greater weight of another side moves
 * callers to that side only, and a smaller one only away from it.
 *
 * @throws SetupError for weights that sum to 0, a test whose side is none of these, or a wrong option
 */
export function split(sides: readonly SplitSide[], options: Partial<SplitOptions> = {}): Transport {
  checkOptions<SplitOptions>("split", options, splitDefaults);
  checkList(sides, "split: the first argument", "sides");
  const made = new Map<Transport, Reachable>();
  for (const [index, side] of sides.entries()) {
    made.set(side.to, reachableTransport(side.to, `split: to of side ${index + 1}`));
  }
  return toTransport(splitInvoker(sides, options, (to) => made.get(to), "split"));
}

interface Side extends Reachable {
  readonly index: number;
  readonly name: string;
  /** The first place on the scale that is not of this side or those below it. */
  readonly end: number;
}

/** Why a call goes to a side. */
const reasons = ["when", "sticky", "weight", "fallback"] as const;
type Reason = (typeof reasons)[number];

/**
 * As `split`, over sides of any kind.
 *
 * @param find gives what a side is; undefined for what is none
 * @param place for errors
 * @throws SetupError as `split`
 */
export function splitInvoker<To>(
  given: readonly SplitSide<To>[],
  options: Partial<SplitOptions<To>>,
  find: (to: To) => Reachable | undefined,
  place: string,
): Invoker {
  const { when, sticky, fallback, name, random } = { ...(splitDefaults as SplitOptions<To>), ...options };
  checkList(when, `${place}: when`, "tests");
  const sides = sidesOf(given, find, place);
  const [first] = sides;
  if (first === undefined) throw new SetupError(`${place}: a split has one side at least`);
  const tests = when.map((test, index): readonly [Matcher, Side] => {
    const where = `${place}: when[${index}]`;
    const side = sides[given.findIndex(({ to }) => to === test.to)];
    if (side === undefined)
      throw new SetupError(`${where}: to must be one of the sides, not ${show(test.to)}`);
    const { to: _, ...request } = test;
    return [matcherOf(request, where), side];
  });
  // Without stickiness no object is made for the place of a call.
  const placed = sticky === undefined ? undefined : placeSticky(sticky, `${place}: sticky`, random);
  // From the lower end of the scale to the first side, which has the upper end.
  const scale = sides.toReversed();
  const books = sides.map((side): Record<Reason, TrafficCount> => {
    const count = (why: Reason): [Reason, TrafficCount] => [
      why,
      trafficBooks.splits.of(name, side.name, why),
    ];
    return Object.fromEntries(reasons.map(count)) as Record<Reason, TrafficCount>; // All of them.
  });
  const choose = (context: CallContext): number => {
    let why: Reason = "when";
    let side = tests.length === 0 ? undefined : tests.find(([matches]) => matches(context))?.[1];
    if (side === undefined) {
      const own = placed?.(context);
      why = own?.isKept === true ? "sticky" : "weight";
      const at = own?.place ?? Math.floor(random() * places);
      side = first;
      for (const one of scale) {
        if (at >= one.end) continue;
        side = one;
        break;
      }
    }
    if (side !== first && fallback && side.isAway()) {
      side.wake();
      side = first;
      why = "fallback";
    }
    const counts = books[side.index];
    if (counts !== undefined) counts[why].count++;
    return side.index;
  };
  const over = (all: readonly Invoker[]): Invoker => {
    const forms = ofOneForm(all);
    const [form = first.invoker] = forms;
    return choosing(form, (_, context) => forms[choose(context)] ?? form);
  };
  const invokers = sides.map(({ invoker }) => invoker);
  const hasUnobserved = invokers.some(({ unobserved }) => unobserved !== undefined);
  return {
    ...over(invokers),
    ...(hasUnobserved && { unobserved: over(invokers.map((invoker) => invoker.unobserved ?? invoker)) }),
  };
}

function sidesOf<To>(
  given: readonly SplitSide<To>[],
  find: (to: To) => Reachable | undefined,
  place: string,
): readonly Side[] {
  let sum = 0;
  for (const [index, { weight }] of given.entries()) {
    if (typeof weight !== "number" || !(weight >= 0 && weight < Infinity)) {
      throw new SetupError(
        `${place}: the weight of side ${index + 1} must be a number from 0, not ${show(weight)}`,
      );
    }
    sum += weight;
  }
  if (sum === 0) throw new SetupError(`${place}: the weights sum to 0`);
  const sides: Side[] = [];
  let below = 0;
  for (const [index, { to, weight, name = `side ${index + 1}` }] of [...given.entries()].toReversed()) {
    const side = find(to);
    if (side === undefined) throw new SetupError(`${place}: ${show(to)} is unknown`);
    if (given.findIndex((other) => other.to === to) !== index) {
      throw new SetupError(`${place}: side ${index + 1} is there already`);
    }
    below += weight;
    sides.unshift({ ...side, index, name, end: Math.round((places * below) / sum) });
  }
  return sides;
}
