import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { rpcName } from "../../call/service.ts";
import type { AccessLevel } from "../../admission/access-level.ts";
import type { AccessTable } from "./access-table.ts";

/** What holds for the calls of one rpc. */
export interface PolicyRow {
  readonly rpc: string;
  readonly level: AccessLevel;
  /** Of which the caller has one; empty for any. */
  readonly roles: readonly string[];
  /** Of which the caller has all; those of which he has one are joined by `|`. */
  readonly scopes: readonly string[];
  /** Further conditions, by their names: `ips`, `doors`, `principals`, `providers`, `match`, `when`. */
  readonly conditions: readonly string[];
  readonly audit: boolean;
  /** Names of the limits that count its calls. */
  readonly limits: readonly string[];
  /** The longest time of a call, in milliseconds; undefined for none. */
  readonly deadlineMs: number | undefined;
  /** Which line decides who may call it. */
  readonly decidedBy: string;
}

/** What other rooms know of an rpc. */
export interface PolicySources {
  /** Default: none. */
  readonly limitsOf?: (method: DescMethod) => readonly string[];
  /** In milliseconds; undefined for none. Default: none. */
  readonly deadlineMsOf?: (method: DescMethod) => number | undefined;
}

/**
 * What holds for each rpc of these services, in their order.
 *
 * @throws SetupError for a rule that does not fit its rpc
 */
export function policyRows(
  table: AccessTable,
  services: readonly DescService[],
  { limitsOf, deadlineMsOf }: PolicySources = {},
): PolicyRow[] {
  return services.flatMap((service) =>
    service.methods.map((method) => ({
      ...accessRow(table, method),
      limits: limitsOf?.(method) ?? [],
      deadlineMs: deadlineMsOf?.(method),
    })),
  );
}

/** Who may call an rpc. @throws SetupError for a rule that does not fit it */
export function accessRow(table: AccessTable, method: DescMethod): Omit<PolicyRow, "limits" | "deadlineMs"> {
  const { level, rule, place } = table.of(method);
  return {
    rpc: rpcName(method),
    level,
    roles: [...(rule?.roles ?? [])],
    scopes: rule === undefined ? [] : [...rule.scopes, ...joined(rule.anyScope)],
    conditions: conditionsOf(rule),
    audit: rule?.audit ?? false,
    decidedBy: place,
  };
}

/** The rows as lines of a table, with a head. */
export function formatPolicy(rows: readonly PolicyRow[]): string[] {
  const head = ["rpc", "level", "roles", "scopes", "conditions", "audit", "limits", "deadline", "decided by"];
  const cells = rows.map((row) => [
    row.rpc,
    row.level,
    listed(row.roles),
    listed(row.scopes),
    listed(row.conditions),
    row.audit ? "yes" : "-",
    listed(row.limits),
    row.deadlineMs === undefined ? "-" : `${row.deadlineMs} ms`,
    row.decidedBy,
  ]);
  const all = [head, ...cells];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "-" : names.join(",");
}

function joined(scopes: readonly string[]): readonly string[] {
  return scopes.length === 0 ? [] : [scopes.join("|")];
}

function conditionsOf(rule: ReturnType<AccessTable["of"]>["rule"]): readonly string[] {
  if (rule === undefined) return [];
  const { ips, doors, principals, providers, match, when } = rule;
  const given: readonly (readonly [name: string, is: boolean])[] = [
    ["ips", ips.length > 0],
    ["doors", doors !== undefined],
    ["principals", principals !== undefined],
    ["providers", providers !== undefined],
    ["match", match.length > 0],
    ["when", when !== undefined],
  ];
  return given.filter(([, is]) => is).map(([name]) => name);
}
