import { create, type DescMethod, hasOption, mergeFromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { implicitBinding, malformedAnnotation, selectorOf, ruleBindings } from "./http-rule.ts";
import type { HttpBinding } from "./http-rule.ts";
import type { Selected, ServiceConfig } from "./service-config.ts";
import { attemptStrictly, type Attempt } from "./attempt.ts";
import { SetupError } from "../errors/setup-error.ts";

/**
 * `annotatedBindings` for contracts, which have thousands of rules: protobuf-es makes a descriptor anew each time that it
 * reads an option.
 */
function bindingsOfMany(method: DescMethod, attempt: Attempt): HttpBinding[] {
  if (!hasOption(method, http)) return [];
  const source = `${method.parent.file.name}.proto`;
  const rule = attempt(() => {
    try {
      const read = create(HttpRuleSchema);
      for (const { no, data } of method.proto.options?.$unknown ?? []) {
        if (no === http.number) mergeFromBinary(HttpRuleSchema, read, new BinaryReader(data).bytes());
      }
      return read;
    } catch (cause) {
      throw malformedAnnotation(method, source, cause);
    }
  });
  return rule === undefined ? [] : ruleBindings(method, rule, source, attempt);
}

/** Whether rules outside the proto replace the annotations of the rpcs that they select, or are added to them. */
export type RuleMode = "replace" | "add";

/** The HTTP bindings and deadlines of a set of rpcs. */
export interface RuleSet {
  /**
   * Every binding of every rpc: those of service configurations, then those of annotations, then the implicit ones,
   * each in the order of the rpcs.
   */
  readonly bindings: readonly HttpBinding[];
  /** The default deadlines that service configurations set, by rpc, in milliseconds. */
  readonly deadlinesMs: ReadonlyMap<DescMethod, number>;
  /** Whether a service configuration sets path decoding `all`. */
  readonly fullyDecodeReservedExpansion: boolean;
}

/**
 * Combines annotations, service configurations and implicit paths.
 *
 * Of all rules that select an rpc, over all configurations in their order, the last wins; the same holds for deadlines.
 * In mode `add` every rule that selects the rpc counts, in addition to its annotation. A rule without a pattern removes
 * the bindings of the annotation and of the rules before it.
 *
 * @param mode default `replace`, as specified by google/api/http.proto
 * @param attempt handles the errors of invalid rules, which then have no bindings
 * @param onUnmatched handles those of selectors that match no rpc; default: as `attempt`
 */
export function combineRules(
  methods: readonly DescMethod[],
  configs: readonly ServiceConfig[] = [],
  mode: RuleMode = "replace",
  attempt: Attempt = attemptStrictly,
  onUnmatched: Attempt = attempt,
): RuleSet {
  const rules = select(
    methods,
    configs.flatMap((config) => config.rules),
    onUnmatched,
  );
  const deadlines = select(
    methods,
    configs.flatMap((config) => config.deadlinesMs),
    onUnmatched,
  );
  const external: HttpBinding[] = [];
  const annotated: HttpBinding[] = [];
  for (const method of methods) {
    const selected = rules.get(method) ?? [];
    const removed = selected.findLastIndex(({ value }) => value.pattern.case === undefined);
    const chosen = mode === "add" ? selected.slice(removed + 1) : selected.slice(-1);
    for (const { value, source } of chosen) {
      if (value.pattern.case !== undefined) external.push(...ruleBindings(method, value, source, attempt));
    }
    const keepsAnnotation = mode === "add" ? removed === -1 : chosen.length === 0;
    if (keepsAnnotation) annotated.push(...bindingsOfMany(method, attempt));
  }
  const bindings = [...external, ...annotated, ...methods.map(implicitBinding)];
  const deadlinesMs = new Map<DescMethod, number>();
  for (const [method, selected] of deadlines) {
    for (const { value } of selected) deadlinesMs.set(method, value);
  }
  const fullyDecodeReservedExpansion = configs.some((config) => config.fullyDecodeReservedExpansion);
  return { bindings, deadlinesMs, fullyDecodeReservedExpansion };
}

/** The values selected for each rpc, in the order in which they are written. */
function select<T>(
  methods: readonly DescMethod[],
  all: readonly Selected<T>[],
  attempt: Attempt,
): Map<DescMethod, Selected<T>[]> {
  const byMethod = new Map<DescMethod, Selected<T>[]>();
  for (const selected of all) {
    const patterns = selected.selector.split(",").map((pattern) => pattern.trim());
    for (const pattern of patterns) {
      if (methods.some((method) => matches(pattern, method))) continue;
      attempt(() => {
        throw new SetupError(`${selected.source}: selector "${pattern}" matches no rpc`);
      });
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
