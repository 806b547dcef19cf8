import type { DescService } from "@bufbuild/protobuf";
import { rpcName } from "../core/call/service.ts";
import type { SectionParts } from "./sections/section.ts";

/** The longest texts are at the end. */
const lastColumn = "decided by";

/** What sections say about each rpc, by columns. */
export function policyRows(
  services: readonly DescService[],
  parts: readonly SectionParts[],
): readonly Readonly<Record<string, string>>[] {
  return services
    .flatMap((service) => service.methods)
    .map((method) => {
      const row: Record<string, string> = { rpc: rpcName(method) };
      for (const part of parts) {
        for (const [column, text] of Object.entries(part.policyOf?.(method) ?? {})) {
          if (text !== "" || row[column] === undefined) row[column] = text;
        }
      }
      return row;
    });
}

/** What `--print-policy` prints: a row for each rpc, a column for each thing that a section says about it. */
export function policyTable(services: readonly DescService[], parts: readonly SectionParts[]): string {
  const rows = policyRows(services, parts);
  const named = new Set(["rpc", ...rows.flatMap((row) => Object.keys(row))]);
  if (named.delete(lastColumn)) named.add(lastColumn);
  const columns = [...named];
  const table = [columns, ...rows.map((row) => columns.map((column) => row[column] || "-"))];
  const widths = columns.map((_, place) => Math.max(...table.map((cells) => cells[place]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, place) => cell.padEnd(widths[place] ?? 0))
      .join("  ")
      .trimEnd();
  return `${table.map(line).join("\n")}\n`;
}
