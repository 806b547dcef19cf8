import type { DescMethod } from "@bufbuild/protobuf";
import { annotatedBindings, implicitBinding, selectorOf, ruleBindings } from "./http-rule.ts";
import type { HttpBinding } from "./http-rule.ts";
import type { Selected, ServiceConfig } from "./service-config.ts";
import { SetupError } from "../../core/setup-error.ts";

/** Whether rules outside the proto stand in for the annotations of the rpcs they select or are added to them. */
export type RuleMode = "replace" | "add";

/** Everything that says under which paths a set of rpcs is served. */
export interface RuleSet {
  /** Every binding of every rpc, the implicit one last. */
  readonly bindings: readonly HttpBinding[];
  /** The default deadline of the rpcs that a service configuration gives one, in milliseconds. */
  readonly deadlinesMs: ReadonlyMap<DescMethod, number>;
  /** Whether a service configuration asks for path decoding `all`. */
  readonly fullyDecodeReservedExpansion: boolean;
}

/**
 * Combines annotations, service configurations and implicit paths.
 *
 * Of the rules that select one rpc the last wins, over all configurations in their order, and so it is for deadlines;
 * in mode `add` every rule that selects the rpc counts, beside its annotation.
 *
 * @param mode default `replace`, as google/api/http.proto has it
 * @throws Error naming the place of a selector that matches no rpc, or the rpc of a rule that is wrong
 */
export function combineRules(
  methods: readonly DescMethod[],
  configs: readonly ServiceConfig[] = [],
  mode: RuleMode = "replace",
): RuleSet {
  const rules = select(
    methods,
    configs.flatMap((config) => config.rules),
  );
  const deadlines = select(
    methods,
    configs.flatMap((config) => config.deadlinesMs),
  );
  const bindings = methods.flatMap((method) => {
    const external = rules.get(method) ?? [];
    const chosen = mode === "add" ? external : external.slice(-1);
    const annotated = mode === "add" || chosen.length === 0 ? annotatedBindings(method) : [];
    const added = chosen.flatMap(({ value, source }) => ruleBindings(method, value, source));
    return [...annotated, ...added, implicitBinding(method)];
  });
  const deadlinesMs = new Map<DescMethod, number>();
  for (const [method, selected] of deadlines) {
    for (const { value } of selected) deadlinesMs.set(method, value);
  }
  const fullyDecodeReservedExpansion = configs.some((config) => config.fullyDecodeReservedExpansion);
  return { bindings, deadlinesMs, fullyDecodeReservedExpansion };
}

/** What is selected for each rpc, in the order it was written. */
function select<T>(
  methods: readonly DescMethod[],
  all: readonly Selected<T>[],
): Map<DescMethod, Selected<T>[]> {
  const byMethod = new Map<DescMethod, Selected<T>[]>();
  for (const selected of all) {
    const patterns = selected.selector.split(",").map((pattern) => pattern.trim());
    for (const pattern of patterns) {
      if (methods.some((method) => matches(pattern, method))) continue;
      throw new SetupError(`${selected.source}: selector "${pattern}" matches no rpc`);
    }
    for (const method of methods) {
      if (!patterns.some((pattern) => matches(pattern, method))) continue;
      const list = byMethod.get(method);
      if (list === undefined) byMethod.set(method, [selected]);
      else list.push(selected);
    }
  }
  return byMethod;
}

function matches(pattern: string, method: DescMethod): boolean {
  const name = selectorOf(method);
  if (pattern === "*") return true;
  return pattern.endsWith(".*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
