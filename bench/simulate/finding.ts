/** What a simulation has found. */
export interface Finding {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The most that it may be; undefined where it is for information. */
  readonly most?: number;
  /** The least that it may be. */
  readonly least?: number;
}

/** Whether it is within its bounds. */
export function isGood({ value, most = Infinity, least = -Infinity }: Finding): boolean {
  return value <= most && value >= least;
}

/** A table for people. */
export function toTable(findings: readonly Finding[]): string {
  const rows = findings.map((finding) => [
    finding.what,
    `${rounded(finding.value)} ${finding.unit}`.trim(),
    boundOf(finding),
    isGood(finding) ? "" : "MISSED",
  ]);
  const all = [["what", "measured", "bound", ""], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function boundOf({ most, least }: Finding): string {
  if (most !== undefined) return `<= ${rounded(most)}`;
  return least === undefined ? "" : `>= ${rounded(least)}`;
}

function rounded(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Math.round(value * 100) / 100);
}
