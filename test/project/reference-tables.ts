import {
  authFlags,
  commonFlags,
  faceFlags,
  grpcFlags,
  httpFlags,
  hubFlags,
  messagingFlags,
  onePortFlags,
  portFlag,
  registerFlags,
  schemaFlags,
  tlsFlags,
  upstreamFlags,
  workerFlags,
  type FlagGroup,
} from "../../src/entries/flags.ts";
import { metricList } from "../../src/entries/telemetry.ts";
import { flagUsage } from "../../src/core/config/flags.ts";

/** The flags of the programs, by the programs' names. */
export const programs: Readonly<Record<string, FlagGroup>> = {
  "grpc-only": {
    ...grpcFlags,
    ...tlsFlags,
    ...authFlags,
    ...hubFlags,
    ...registerFlags,
    ...commonFlags,
    ...workerFlags,
  },
  "http-only": {
    ...upstreamFlags,
    ...httpFlags,
    ...faceFlags,
    ...tlsFlags,
    ...schemaFlags,
    ...authFlags,
    ...registerFlags,
    ...commonFlags,
    ...workerFlags,
  },
  gateway: {
    ...grpcFlags,
    ...httpFlags,
    ...onePortFlags,
    ...tlsFlags,
    ...authFlags,
    ...registerFlags,
    ...commonFlags,
    ...faceFlags,
    ...hubFlags,
    ...workerFlags,
  },
  messaging: {
    ...messagingFlags,
    httpPort: portFlag(8080, "Port to serve HTTP on; 0 picks a free one"),
    ...commonFlags,
  },
};

/** The table of docs/flags.md: every flag, its default, and what it means to which program. */
export function flagTable(): string {
  const names = new Set(Object.values(programs).flatMap((group) => Object.keys(group)));
  const rows = [...names].map((name) => {
    const meanings = new Map<string, string[]>();
    let usage = "";
    let byDefault = "";
    for (const [program, group] of Object.entries(programs)) {
      const flag = group[name];
      if (flag === undefined) continue;
      usage = flagUsage(name, flag);
      const unsaid = flag.value === undefined ? "off" : flag.shownDefault;
      byDefault = flag.repeatable
        ? "none, repeatable"
        : flag.shownDefault === ""
          ? unsaid
          : flag.shownDefault;
      meanings.set(flag.help, [...(meanings.get(flag.help) ?? []), program]);
    }
    const meaning = [...meanings].map(([help, users]) => `${help} (${users.join(", ")})`).join("; ");
    return [`\`${usage}\``, byDefault === "" ? "none" : byDefault, meaning];
  });
  return table(["flag", "default", "meaning"], rows);
}

/** The table of docs/metrics.md: every metric of our own. */
export function metricTable(): string {
  const rows = Object.values(metricList).map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(", "),
    help,
  ]);
  return table(["metric", "type", "labels", "meaning"], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
