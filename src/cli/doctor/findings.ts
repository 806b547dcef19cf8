/** What a check found: `warn` is worth a look, `broken` keeps something from working. */
export interface Finding {
  /** What was looked at. */
  readonly name: string;
  readonly state: "ok" | "warn" | "broken";
  /** What is so. */
  readonly text: string;
  /** What to do; undefined where there is nothing to do. */
  readonly cure?: string | undefined;
}

/** A finding with the time that the check took, in milliseconds. */
export interface TimedFinding extends Finding {
  readonly ms: number;
}

/** Runs a check; what it throws is broken. */
export async function timed(
  name: string,
  check: () => Promise<Omit<Finding, "name">>,
): Promise<TimedFinding> {
  const startedAt = performance.now();
  let found: Omit<Finding, "name">;
  try {
    found = await check();
  } catch (error) {
    found = { state: "broken", text: error instanceof Error ? error.message : String(error) };
  }
  return { name, ...found, ms: Math.round((performance.now() - startedAt) * 10) / 10 };
}

/** Findings as lines: state, what was looked at, what is so, the time, and what to do. */
export function findingsText(findings: readonly TimedFinding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(({ name, state, text, cure, ms }) => {
      const line = `${state.padEnd(6)}  ${name.padEnd(width)}  ${text}  (${ms} ms)\n`;
      return cure === undefined ? line : `${line}${" ".repeat(width + 10)}→ ${cure}\n`;
    })
    .join("");
}
