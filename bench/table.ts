import { median, type Measured, type Row } from "./rig.ts";

/** A row with its result, or with the reason why it was skipped. */
export type Finding =
  | { readonly row: Row; readonly measured: Measured }
  | { readonly row: Row; readonly missing: string };

/** The results as a markdown table, followed by remarks. */
export function toTable(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => {
    const { row } = finding;
    if ("missing" in finding) {
      const { missing } = finding;
      return [...[row.id, row.work, row.subject, row.reference, "skipped", ""], ...goals(row), missing];
    }
    const { subject, reference, ratios } = finding.measured;
    const middle = median(ratios);
    return [
      ...[row.id, row.work, `${row.subject}: ${subject}`, `${row.reference}: ${reference}`],
      ...[`**${figure(middle)}**`, `${figure(Math.min(...ratios))}–${figure(Math.max(...ratios))}`],
      ...[...goals(row), reached(row, middle)],
    ];
  });
  const head = ["#", "work", "subject", "reference", "ratio", "min–max", "must", "aim", "reached"];
  const remarks = findings.flatMap((finding) =>
    "missing" in finding ? [] : finding.measured.remarks.map((remark) => `- ${finding.row.id}: ${remark}.`),
  );
  return remarks.length === 0 ? markdown(head, lines) : `${markdown(head, lines)}\n\n${remarks.join("\n")}`;
}

/** The ratios of several runs of the same rows side by side, as a markdown table with their medians. */
export function toSummary(runs: readonly (readonly Finding[])[]): string {
  const [first = []] = runs;
  const lines = first.map(({ row }, index) => {
    const middles = runs.map((findings) => middleOf(findings[index]));
    const found = middles.filter((middle) => middle !== undefined);
    const middle = found.length === 0 ? undefined : median(found);
    return [
      ...[row.id, row.work, `${row.subject} : ${row.reference}`],
      ...middles.map((one) => (one === undefined ? "skipped" : figure(one))),
      ...(middle === undefined
        ? ["", ...goals(row), ""]
        : [`**${figure(middle)}**`, ...goals(row), reached(row, middle)]),
    ];
  });
  const head = ["#", "work", "subject : reference", ...runs.map((_, index) => `run ${index + 1}`)];
  return markdown([...head, "median", "must", "aim", "reached"], lines);
}

/** The results of all runs as JSON, with every ratio and the number of the run. */
export function toReport(runs: readonly (readonly Finding[])[]): string {
  const lines = runs.flatMap((findings, index) =>
    findings.map((finding) => {
      const { measure: _measure, ...words } = finding.row;
      const run = index + 1;
      if ("missing" in finding) return { run, ...words, missing: finding.missing };
      const { measured } = finding;
      return { run, ...words, median: median(measured.ratios), ratios: measured.ratios, measured };
    }),
  );
  return `${JSON.stringify(lines, undefined, 2)}\n`;
}

function middleOf(finding: Finding | undefined): number | undefined {
  return finding === undefined || "missing" in finding ? undefined : median(finding.measured.ratios);
}

function goals({ better, must, aim }: Row): [must: string, aim: string] {
  const sign = better === "higher" ? "≥" : "≤";
  return [`${sign} ${must}`, aim === undefined ? "" : `${sign} ${aim}`];
}

function reached({ better, must }: Row, ratio: number): string {
  return (better === "higher" ? ratio >= must : ratio <= must) ? "yes" : "no";
}

function markdown(head: readonly string[], lines: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...lines]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n");
}

export function figure(value: number): string {
  return value.toFixed(2);
}
