import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { rpcName } from "../../call/service.ts";
import { SetupError } from "../../errors/setup-error.ts";
import { type AccessLevel, accessLevels } from "../../admission/access-level.ts";
import { accessDefaults, type AccessOptions } from "./access-options.ts";
import { contractRule } from "./contract-rule.ts";
import { checkKnown, checkSpelling, isFor, readRuleName, type RuleName } from "./rule-name.ts";
import { checkLevel, readRule, type Rule } from "./rule.ts";
import { RpcAccess } from "./rpc-access.ts";

/** A rule of the configuration with the rpcs that it is for. */
interface NamedRule {
  readonly name: RuleName;
  readonly rule: Rule;
}

const healthService = "grpc.health.v1.Health";
const inspection: ReadonlySet<string> = new Set([
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "grpc.channelz.v1.Channelz",
]);

/**
 * Who may call what: for each rpc one line decides, in this order: the rule of the configuration for exactly this rpc,
 * the option of the rpc, that of its service, the rule with the most specific pattern, the default.
 */
export class AccessTable {
  readonly #exact = new Map<string, NamedRule>();
  /** The longest first. */
  readonly #patterns: readonly NamedRule[];
  readonly #options: AccessOptions;
  readonly #default: AccessLevel;
  readonly #rpcs = new WeakMap<DescMethod, RpcAccess>();
  readonly #checked = new WeakSet<DescService>();
  /** What is still to be compiled. */
  readonly #pending = new Set<RpcAccess>();

  /**
   * @param hasProviders whether callers can show who they are: then the default is `authenticated`
   * @throws SetupError naming the rule and what is wrong with it
   */
  constructor(options: Partial<AccessOptions>, hasProviders: boolean) {
    this.#options = { ...accessDefaults, ...options };
    const { default: byDefault, health, reflection, rules } = this.#options;
    if (byDefault !== undefined) checkLevel(byDefault, "access.default");
    checkLevel(health, "access.health");
    if (reflection !== undefined) checkLevel(reflection, "access.reflection");
    this.#default = byDefault ?? (hasProviders ? "authenticated" : "public");
    const patterns: NamedRule[] = [];
    for (const [text, init] of Object.entries(rules)) {
      const place = `access.rules[${JSON.stringify(text)}]`;
      const named = { name: readRuleName(text, place), rule: readRule(init, place) };
      const { isExact, dotted } = named.name;
      const twin = isExact ? this.#exact.get(dotted) : patterns.find(({ name }) => name.dotted === dotted);
      if (twin !== undefined) throw new SetupError(`${place}: ${twin.rule.place} is for the same rpcs`);
      if (isExact) this.#exact.set(dotted, named);
      else patterns.push(named);
    }
    this.#patterns = patterns.sort((a, b) => b.name.dotted.length - a.name.dotted.length);
  }

  /**
   * Who may call an rpc.
   *
   * @throws SetupError for a rule of its service that is misspelt or does not fit the rpc
   */
  of(method: DescMethod): RpcAccess {
    const known = this.#rpcs.get(method);
    if (known !== undefined) return known;
    this.#checkSpelling(method.parent);
    const access = this.#decide(method);
    this.#rpcs.set(method, access);
    if (access.pending !== undefined) this.#pending.add(access);
    return access;
  }

  /** Resolves when all conditions of the rpcs that were asked for can be used. @throws SetupError where one cannot */
  async ready(): Promise<void> {
    for (const access of this.#pending) {
      await access.pending;
      this.#pending.delete(access);
    }
  }

  /**
   * Compares the rules with all services there are.
   *
   * @throws SetupError naming a rule that is for none of their rpcs, with the nearest name
   */
  checkNames(services: readonly DescService[]): void {
    for (const { name, rule } of [...this.#exact.values(), ...this.#patterns]) {
      checkKnown(name, services, rule.place);
    }
  }

  /**
   * What operators should see at the start: rules of the configuration that let more calls pass than the contract asks
   * for, and rpcs that no caller may call, as no rule is for them.
   */
  notes(services: readonly DescService[]): string[] {
    const methods = services.flatMap((service) => service.methods);
    return methods.flatMap((method) => {
      const access = this.of(method);
      const contract = contractRule(method);
      if (access.rule === undefined && access.level === "deny") {
        return [`${rpcName(method)} is denied to all: no rule is for it, and access.default is deny`];
      }
      if (contract === undefined || !this.#exact.has(dottedName(method))) return [];
      const asked = this.#compile(method, readRule(contract.rule, contract.place));
      return isLooser(access, asked)
        ? [`${access.place} lets more calls of ${rpcName(method)} pass than ${contract.place}`]
        : [];
    });
  }

  #decide(method: DescMethod): RpcAccess {
    const exact = this.#exact.get(dottedName(method));
    if (exact !== undefined) return this.#compile(method, exact.rule);
    const contract = contractRule(method);
    if (contract !== undefined) return this.#compile(method, readRule(contract.rule, contract.place));
    const pattern = this.#patterns.find(({ name }) => isFor(name, method));
    if (pattern !== undefined) return this.#compile(method, pattern.rule);
    const { level, place } = this.#defaultOf(method);
    return new RpcAccess(method, level, undefined, place);
  }

  #compile(method: DescMethod, rule: Rule): RpcAccess {
    return new RpcAccess(method, rule.level ?? this.#defaultOf(method).level, rule, rule.place);
  }

  #defaultOf({ parent: { typeName } }: DescMethod): { readonly level: AccessLevel; readonly place: string } {
    const { health, reflection } = this.#options;
    if (typeName === healthService) return { level: health, place: "access.health" };
    if (inspection.has(typeName) && reflection !== undefined) {
      return { level: reflection, place: "access.reflection" };
    }
    return { level: this.#default, place: "access.default" };
  }

  #checkSpelling(service: DescService): void {
    if (this.#checked.has(service)) return;
    for (const { name, rule } of [...this.#exact.values(), ...this.#patterns]) {
      checkSpelling(name, service, rule.place);
    }
    this.#checked.add(service);
  }
}

/** Whether a rule is less strict than another one in level, or leaves out a condition of it. */
function isLooser(rule: RpcAccess, asked: RpcAccess): boolean {
  if (accessLevels.indexOf(rule.level) < accessLevels.indexOf(asked.level)) return true;
  return conditionsOf(asked).some((condition) => !conditionsOf(rule).includes(condition));
}

/** The conditions of a rule as texts. */
function conditionsOf({ rule, level }: RpcAccess): readonly string[] {
  if (rule === undefined || level === "deny") return level === "deny" ? [] : [];
  const { scopes, anyScope, roles, principals, providers, ips, doors, match, when } = rule;
  const one = (name: string, values: Iterable<string> | undefined): string[] =>
    values === undefined || [...values].length === 0 ? [] : [`${name} ${[...values].sort().join(" ")}`];
  return [
    ...scopes.map((scope) => `scope ${scope}`),
    ...one("any", anyScope),
    ...one("roles", roles),
    ...one("principals", principals),
    ...one("providers", providers),
    ...one("ips", ips),
    ...one("doors", doors),
    ...match.map(([path, value]) => `match ${path} ${value}`),
    ...one("when", when === undefined ? undefined : [when]),
  ];
}

function dottedName({ parent, name }: DescMethod): string {
  return `${parent.typeName}.${name}`;
}
