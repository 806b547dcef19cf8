import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Plans } from "../../core/policy/plans.ts";
import type { PlanLine } from "../../core/policy/plan.ts";
import { Selector } from "../../core/policy/selector.ts";
import { programDefaults } from "../../core/targets/program-defaults.ts";
import type { TrafficRule } from "../../core/traffic/traffic-rule.ts";
import type { UpstreamsPlan } from "./upstreams-plan.ts";
import type { KnownContracts } from "./upstream-contracts.ts";

/** How the rpcs of upstreams are called, for `--print-policy`. */
export class UpstreamPolicies {
  readonly #plan: UpstreamsPlan;
  readonly #known: KnownContracts;
  readonly #plans = new Map<string, Plans>();

  constructor(plan: UpstreamsPlan, known: KnownContracts) {
    this.#plan = plan;
    this.#known = known;
  }

  /** All services, each once. */
  get services(): readonly DescService[] {
    const byName = new Map<string, DescService>();
    for (const service of [...this.#known.values()].flat()) {
      if (!byName.has(service.typeName)) byName.set(service.typeName, service);
    }
    return [...byName.values()];
  }

  /** The columns of an rpc; none for one that no upstream has. */
  row(method: DescMethod): Readonly<Record<string, string>> {
    const owner = [...this.#known].find(([, services]) => services.includes(method.parent))?.[0];
    if (owner === undefined) return {};
    const lines = this.#plansOf(owner)
      .lines(method.parent)
      .filter(({ rpc }) => rpc === `${method.parent.typeName}.${method.name}`);
    return {
      upstream: owner,
      timeout: valueOf(lines, "timeout"),
      retry: retryText(lines),
      hedge: groupText(lines, "hedge", ["max_attempts", "delay"]),
      breaker: groupText(lines, "circuit_breaker", ["mode", "failure_ratio", "scope"]),
      concurrency: groupText(lines, "concurrency", ["max", "queue"]),
      traffic: this.#plan.traffic.filter(matching(method)).slice(0, 1).map(ruleText).join(""),
    };
  }

  #plansOf(name: string): Plans {
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const { policies: own = [], contractPolicies = true } = this.#plan.inits[name] ?? {};
    const retry = programDefaults()?.retry;
    const policies = [...this.#plan.policies, ...own];
    const plans = new Plans({ policies, contractPolicies, ...(retry && { retry }) });
    this.#plans.set(name, plans);
    return plans;
  }
}

function matching(method: DescMethod): (rule: TrafficRule) => boolean {
  return ({ selector }) => new Selector(selector).matches(method);
}

function valueOf(lines: readonly PlanLine[], field: string): string {
  return lines.find((line) => line.field === field)?.value ?? "";
}

/** How often a call is made at most, and after which errors; once where it may not be sent again. */
function retryText(lines: readonly PlanLine[]): string {
  const attempts = valueOf(lines, "retry.max_attempts");
  if (attempts === "1") return "off";
  const mayRepeat = valueOf(lines, "idempotency") !== "UNKNOWN";
  const codes = valueOf(lines, "retry.codes");
  return mayRepeat ? `${attempts}×,${codes}` : `${attempts}×,unprocessed`;
}

function groupText(lines: readonly PlanLine[], group: string, fields: readonly string[]): string {
  return fields
    .map((field) => valueOf(lines, `${group}.${field}`))
    .filter((text) => text !== "")
    .join(",");
}

function ruleText({ split = [], mirror, faults = [] }: TrafficRule): string {
  const parts = [
    split.map(({ to, weight }) => `${to}:${weight}`).join(","),
    mirror === undefined ? "" : `mirror=${mirror.to}:${mirror.percent ?? 100}%`,
    faults.length === 0 ? "" : `faults=${faults.length}`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}
