import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { nearestName } from "../../errors/nearest-name.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { rpcName } from "../../call/service.ts";

/** The rpcs that a rule is for. */
export interface RuleName {
  /** As it was written. */
  readonly text: string;
  /** Whether it is one rpc, `package.Service.Method`. */
  readonly isExact: boolean;
  /** In the dotted form: the name of an rpc, or what the names of all its rpcs begin with. */
  readonly dotted: string;
}

const exact = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$/;
const start = /^(?:[A-Za-z_]\w*\.)*$/;

/** Reads the name of a rule. @param place of the rule, for errors. @throws SetupError for anything else */
export function readRuleName(text: string, place: string): RuleName {
  const dotted = text.replace(/\/(?=[^/.]+$)/, ".");
  if (exact.test(dotted)) return { text, isExact: true, dotted };
  const prefix = dotted.replace(/\*{1,2}$/, "");
  if (prefix !== dotted && start.test(prefix)) return { text, isExact: false, dotted: prefix };
  throw new SetupError(
    `${place}: ${JSON.stringify(text)} names no rpc: write package.Service/Method, package.Service/* or package.*`,
  );
}

/** Whether a rule is for an rpc. */
export function isFor({ isExact, dotted }: RuleName, method: DescMethod): boolean {
  const name = dottedName(method);
  return isExact ? name === dotted : name.startsWith(dotted);
}

/**
 * Refuses a rule that stands for rpcs of this service alone and matches none of them.
 *
 * @throws SetupError with the nearest name
 */
export function checkSpelling(
  { text, dotted, isExact }: RuleName,
  service: DescService,
  place: string,
): void {
  if (!dotted.startsWith(`${service.typeName}.`)) return;
  if (!isExact && dotted === `${service.typeName}.`) return;
  if (service.methods.some((method) => isFor({ text, dotted, isExact }, method))) return;
  throw unknown(text, service.methods.map(rpcName), place);
}

/** Refuses a rule that matches no rpc of all there are. @throws SetupError with the nearest name */
export function checkKnown(rule: RuleName, services: readonly DescService[], place: string): void {
  const methods = services.flatMap((service) => service.methods);
  if (methods.some((method) => isFor(rule, method))) return;
  const names = rule.isExact ? methods.map(rpcName) : services.map(({ typeName }) => `${typeName}/*`);
  throw unknown(rule.text, names, place);
}

function unknown(text: string, names: readonly string[], place: string): SetupError {
  const near = nearestName(text, names);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new SetupError(`${place}: there is no rpc ${JSON.stringify(text)}${hint}`);
}

function dottedName({ parent, name }: DescMethod): string {
  return `${parent.typeName}.${name}`;
}
