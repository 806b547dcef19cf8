import type { DescService } from "@bufbuild/protobuf";
import type {
  FaultConfig,
  MirrorConfig,
  StickyConfig,
  TrafficConfig,
  WhenConfig,
} from "../../../gen/ts_ms/config/v1/traffic_pb.ts";
import type { Code } from "../../core/errors/errors.ts";
import { nearestName } from "../../core/errors/nearest-name.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { Selector } from "../../core/policy/selector.ts";
import type { FaultInit } from "../../core/traffic/fault-options.ts";
import type { RequestTest } from "../../core/traffic/matcher.ts";
import type { StickyInit } from "../../core/traffic/sticky.ts";
import type { MirrorRule, TrafficRule } from "../../core/traffic/traffic-rule.ts";
import { given } from "./given.ts";
import type { SectionKit } from "./section.ts";

/** The rules of a configuration as `Upstreams` takes them. */
export function trafficRules(configs: readonly TrafficConfig[]): readonly TrafficRule[] {
  return configs.map(ruleOf);
}

/**
 * Checks what rules say of upstreams.
 *
 * @param upstreams names of those that there are
 * @param isOpen whether others may come, of a catalog
 * @throws what `mistake` returns, naming rule and member
 */
export function checkTraffic(
  configs: readonly TrafficConfig[],
  upstreams: readonly string[],
  isOpen: boolean,
  mistake: SectionKit["mistake"],
): void {
  for (const [index, { split, when, mirror }] of configs.entries()) {
    const place = `traffic[${index}]`;
    const known = (to: string | undefined, key: string): void => {
      if (to === undefined || isOpen || upstreams.includes(to)) return;
      const near = nearestName(to, upstreams);
      const hint =
        near === undefined ? `there are ${upstreams.join(", ") || "none"}` : `did you mean ${near}?`;
      throw mistake(key, `there is no upstream ${JSON.stringify(to)}; ${hint}`);
    };
    for (const [side, { to }] of split.entries()) known(to, `${place}.split[${side}].to`);
    if (split.length > 0 && split.every(({ weight }) => weight === 0)) {
      throw mistake(`${place}.split`, "the weights sum to 0: give one side a weight above 0");
    }
    for (const [test, { to }] of when.entries()) {
      const key = `${place}.when[${test}]`;
      if (to === undefined) throw mistake(key, "to is missing: name a side of split");
      if (!split.some((side) => side.to === to)) {
        const sides = split.map((side) => side.to).join(", ") || "none";
        throw mistake(`${key}.to`, `must be a side of split (${sides}), not ${JSON.stringify(to)}`);
      }
    }
    known(mirror?.to, `${place}.mirror.to`);
  }
}

/**
 * The mistake that an error of `Traffic` means: `traffic[1] (selector): split: problem`, in the words of code.
 *
 * @returns the error itself where it is another one
 */
export function trafficMistake(error: unknown, mistake: SectionKit["mistake"]): unknown {
  if (!(error instanceof SetupError)) return error;
  const [, place, problem = ""] = /^(traffic\[\d+\])(?: \([^)]*\))?: (.*)$/s.exec(error.message) ?? [];
  if (place === undefined) return error;
  return mistake(place, problem.replaceAll(/\b[a-z]+[A-Z]\w*/g, toKey));
}

/**
 * Whether the selectors of rules have rpcs.
 *
 * @param services all that are served; undefined where some are not known yet, and those are checked that are
 * @throws what `mistake` returns
 */
export function checkSelectors(
  list: readonly { readonly selector: string }[],
  key: string,
  { services, isComplete }: { readonly services: readonly DescService[]; readonly isComplete: boolean },
  mistake: SectionKit["mistake"],
): void {
  for (const [index, { selector: text }] of list.entries()) {
    const selector = new Selector(text);
    const wrong = isComplete
      ? selector.unmatched(services)
      : services.flatMap((service) => selector.misspeltFor(service));
    const [first] = wrong;
    if (first === undefined) continue;
    const names = services.flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}.${name}`),
    );
    const near = nearestName(first, names);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw mistake(`${key}[${index}].selector`, `no upstream has the rpc ${JSON.stringify(first)}${hint}`);
  }
}

function toKey(option: string): string {
  const snake = option.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return snake.replace(/_ms$/, "");
}

function ruleOf({ selector, split, when, sticky, fallback, mirror, faults }: TrafficConfig): TrafficRule {
  return {
    selector,
    ...given({
      split: split.map(({ to, weight, name }) => ({ to, weight, ...given({ name }) })),
      when: when.map((test) => ({ ...testOf(test), to: test.to ?? "" })),
      sticky: sticky && stickyOf(sticky),
      fallback: split.length > 0 ? fallback : undefined,
      mirror: mirror && mirrorOf(mirror),
      faults: faults.map(faultOf),
    }),
  };
}

function testOf({ header, cookie, is, prefix, oneOf, present }: WhenConfig): RequestTest {
  return given({ header, cookie, is, prefix, oneOf, present });
}

function stickyOf({ cookie, header, maxAge }: StickyConfig): StickyInit {
  return given({ cookie, header, maxAgeMs: maxAge });
}

function mirrorOf({ to, percent, methods, maxInFlight, bufferBytes }: MirrorConfig): MirrorRule {
  return { to, percent, maxInFlight, bufferBytes, ...given({ methods }) };
}

/** Codes of `google.rpc` have the numbers of gRPC's; OK, which is none of an error, is refused later. */
function faultOf(fault: FaultConfig): FaultInit {
  const { percent, delay, abort, message, methods, when, allowHeaders, maxActive } = fault;
  return {
    percent,
    allowHeaders,
    maxActive,
    ...given({ delayMs: delay, abort: abort as Code | undefined, message, methods, when: when.map(testOf) }),
  };
}
