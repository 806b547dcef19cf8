import type { Exemplar } from "./durations.ts";

/** A metric as prom-client gives its values. */
export interface MetricValues {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values?: readonly MetricValue[];
}

/** A line of a metric. */
export interface MetricValue {
  /** Default: the name of the metric. */
  readonly metricName?: string;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
  readonly exemplar?: unknown;
}

const counterSuffix = "_total";

/**
 * A page of OpenMetrics 1.0. The names of samples and their labels are those of the text format of Prometheus, so that
 * series go on when a scraper changes the format.
 */
export function openMetricsPage(metrics: Iterable<MetricValues>, exemplars: boolean): string {
  const lines: string[] = [];
  for (const { name, help, type, values = [] } of metrics) {
    const isCounter = type === "counter" && name.endsWith(counterSuffix);
    const family = isCounter ? name.slice(0, -counterSuffix.length) : name;
    lines.push(`# TYPE ${family} ${kindOf(type, isCounter)}`, `# HELP ${family} ${escaped(help)}`);
    for (const sample of values) lines.push(lineOf(name, sample, exemplars));
  }
  lines.push("# EOF", "");
  return lines.join("\n");
}

/** A page in the text format of Prometheus 0.0.4. */
export function prometheusPage(metrics: Iterable<MetricValues>): string {
  const parts: string[] = [];
  for (const { name, help, type, values = [] } of metrics) {
    const lines = [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`];
    lines.push(`# TYPE ${name} ${String(type)}`);
    for (const sample of values) lines.push(lineOf(name, sample, false));
    parts.push(`${lines.join("\n")}\n`);
  }
  return parts.join("\n");
}

/** A counter without the suffix of counters has none in OpenMetrics either: it is of unknown type there. */
function kindOf(type: unknown, isCounter: boolean): string {
  if (type === "counter") return isCounter ? "counter" : "unknown";
  return type === "gauge" || type === "histogram" || type === "summary" ? type : "unknown";
}

function lineOf(
  name: string,
  { metricName = name, labels, value, exemplar }: MetricValue,
  exemplars: boolean,
): string {
  const line = `${metricName}${labelsOf(labels)} ${numberOf(value)}`;
  // Histograms of prom-client have null where they have none.
  if (exemplar === undefined || exemplar === null || !exemplars) return line;
  const { traceId, spanId, seconds, timeMs } = exemplar as Exemplar; // Only `Durations` gives some.
  const trace = labelsOf({ trace_id: traceId, span_id: spanId });
  return `${line} # ${trace} ${numberOf(seconds)} ${timeMs / 1000}`;
}

function labelsOf(labels: MetricValue["labels"]): string {
  const shown = Object.entries(labels)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return shown.length === 0 ? "" : `{${shown.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function numberOf(value: number): string {
  if (value === Infinity) return "+Inf";
  return value === -Infinity ? "-Inf" : String(value);
}
