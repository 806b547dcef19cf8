import { median, type Measured, type Row } from "./rig.ts";

/** A row with what was found. */
export interface Finding {
  readonly row: Row;
  readonly measured: Measured;
}

/** The findings as a markdown table, remarks behind it. */
export function toTable(findings: readonly Finding[]): string {
  const lines = findings.map(({ row, measured }) => {
    const { subject, reference, ratios } = measured;
    const middle = median(ratios);
    const reached = row.better === "higher" ? middle >= row.must : middle <= row.must;
    const limit = (value: number | undefined): string =>
      value === undefined ? "" : `${row.better === "higher" ? "≥" : "≤"} ${value}`;
    return [
      ...[row.id, row.work, `${row.subject}: ${subject}`, `${row.reference}: ${reference}`],
      ...[`**${figure(middle)}**`, `${figure(Math.min(...ratios))}–${figure(Math.max(...ratios))}`],
      ...[limit(row.must), limit(row.aim), reached ? "yes" : "no"],
    ];
  });
  const head = ["#", "work", "subject", "reference", "ratio", "min–max", "must", "aim", "reached"];
  const table = [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  const remarks = findings.flatMap(({ row, measured }) =>
    measured.remarks.map((remark) => `- ${row.id}: ${remark}.`),
  );
  return remarks.length === 0 ? table : `${table}\n\n${remarks.join("\n")}`;
}

/** The findings as JSON, with every ratio. */
export function toReport(findings: readonly Finding[]): string {
  const lines = findings.map(({ row, measured }) => {
    const { measure: _measure, ...words } = row;
    return { ...words, median: median(measured.ratios), ratios: measured.ratios, measured };
  });
  return `${JSON.stringify(lines, undefined, 2)}\n`;
}

function figure(value: number): string {
  return value.toFixed(2);
}
