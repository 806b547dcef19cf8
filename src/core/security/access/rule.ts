import { accessLevels, type AccessLevel } from "../../admission/access-level.ts";
import type { AccessRuleInit } from "./access-options.ts";
import type { DoorName } from "../../admission/call-head.ts";
import { type IpRanges, readIpRanges } from "../../config/ip-ranges.ts";
import { nearestName } from "../../errors/nearest-name.ts";
import { SetupError } from "../../errors/setup-error.ts";

/** Names of a rule that callers must have all of, or one of. */
type Names = ReadonlySet<string>;

/** A rule that was checked. What is undefined is no condition. */
export interface Rule {
  readonly place: string;
  /** Undefined: that of the default. */
  readonly level: AccessLevel | undefined;
  readonly scopes: readonly string[];
  readonly anyScope: readonly string[];
  readonly roles: Names | undefined;
  readonly principals: Names | undefined;
  readonly providers: Names | undefined;
  readonly ips: readonly string[];
  /** `ips`, for the check; undefined for any address. */
  readonly ranges: IpRanges | undefined;
  readonly doors: Names | undefined;
  readonly audit: boolean;
  readonly resource: string | undefined;
  readonly match: readonly (readonly [path: string, value: string])[];
  readonly when: string | undefined;
  /** Whether a condition is about who the caller is. */
  readonly needsPrincipal: boolean;
}

/** Every door; `Record` makes the compiler compare it with the type. */
const doors: Readonly<Record<DoorName, true>> = {
  grpc: true,
  rest: true,
  connect: true,
  "grpc-web": true,
  sse: true,
  ndjson: true,
  websocket: true,
  "long-poll": true,
  graphql: true,
  mcp: true,
  queue: true,
  "in-process": true,
};

const members: readonly (keyof AccessRuleInit)[] = [
  "level",
  "scopes",
  "anyScope",
  "roles",
  "principals",
  "providers",
  "ips",
  "doors",
  "audit",
  "resource",
  "match",
  "when",
];

/**
 * Checks a rule.
 *
 * @param place where it is written, for errors
 * @throws SetupError naming place and member
 */
export function readRule(init: AccessRuleInit, place: string): Rule {
  if (typeof init !== "object" || init === null) throw new SetupError(`${place}: a rule is an object`);
  checkMembers(init, place);
  const { level, match = {}, when, audit = false, resource } = init;
  if (level !== undefined) checkLevel(level, `${place}: level`);
  const list = (name: ListName): readonly string[] => listOf(init[name], `${place}: ${name}`);
  const scopes = list("scopes");
  const anyScope = list("anyScope");
  for (const scope of [...scopes, ...anyScope]) checkScope(scope, place);
  const roles = setOf(list("roles"));
  const principals = setOf(list("principals"));
  const providers = setOf(list("providers"));
  const ips = list("ips");
  const ranges = ips.length === 0 ? undefined : readIpRanges(ips, `${place}: ips`);
  const doorNames = list("doors");
  for (const door of doorNames) checkDoor(door, place);
  const pairs = Object.entries(match);
  const needsPrincipal =
    scopes.length > 0 ||
    anyScope.length > 0 ||
    roles !== undefined ||
    principals !== undefined ||
    providers !== undefined ||
    pairs.some(([, value]) => !isConstant(value));
  const hasCondition =
    needsPrincipal || ips.length > 0 || doorNames.length > 0 || pairs.length > 0 || when !== undefined;
  if (level === "public" && needsPrincipal) {
    throw new SetupError(
      `${place}: the level public looks at no credentials, so that a condition on the caller never holds: use authenticated`,
    );
  }
  return {
    place,
    level: level ?? (hasCondition ? "authenticated" : undefined),
    scopes,
    anyScope,
    roles,
    principals,
    providers,
    ips,
    ranges,
    doors: setOf(doorNames),
    audit,
    resource,
    match: pairs,
    when,
    needsPrincipal,
  };
}

/** Whether the value of `match` is a constant in quotes, not the name of a claim. */
export function isConstant(value: string): boolean {
  return /^(["']).*\1$/s.test(value) && value.length > 1;
}

/** Refuses what is no level. @throws SetupError naming the place */
export function checkLevel(level: unknown, place: string): void {
  if (accessLevels.some((known) => known === level)) return;
  throw new SetupError(`${place}: ${JSON.stringify(level)} is no level: use ${accessLevels.join(", ")}`);
}

type ListName = "scopes" | "anyScope" | "roles" | "principals" | "providers" | "ips" | "doors";

function checkMembers(init: object, place: string): void {
  for (const name of Object.keys(init)) {
    if (members.some((known) => known === name) || name.startsWith("$")) continue;
    const near = nearestName(name, members);
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw new SetupError(`${place}: a rule has no ${JSON.stringify(name)}${hint}`);
  }
}

function listOf(value: unknown, place: string): readonly string[] {
  if (value === undefined) return [];
  const isList = Array.isArray(value) && value.every((item) => typeof item === "string" && item !== "");
  if (!isList) throw new SetupError(`${place} must be a list of texts`);
  return value as string[]; // As it was found.
}

function setOf(names: readonly string[]): Names | undefined {
  return names.length === 0 ? undefined : new Set(names);
}

/** RFC 6749 3.3: what a scope may consist of, which challenges repeat in quotes. */
function checkScope(scope: string, place: string): void {
  if (/^[!#-[\]-~]+$/.test(scope)) return;
  throw new SetupError(`${place}: ${JSON.stringify(scope)} is no scope`);
}

function checkDoor(door: string, place: string): void {
  if (Object.hasOwn(doors, door)) return;
  throw new SetupError(
    `${place}: there is no door ${JSON.stringify(door)}: use one of ${Object.keys(doors).join(", ")}`,
  );
}
