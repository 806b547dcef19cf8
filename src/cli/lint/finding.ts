/** Something that is wrong with a contract. */
export interface Finding {
  /** Id of the rule. */
  readonly rule: string;
  /** Path of the file; empty where it is not known. */
  readonly file: string;
  /** Counted from 1; 0 where it is not known. */
  readonly line: number;
  /** What is wrong, and what breaks for whom. */
  readonly message: string;
}

/** How findings are written. */
export type FindingFormat = "text" | "json" | "github";

/** The rules of `ts-ms lint` itself, with what each finds. */
export const lintRules = {
  "route-clash": "an HTTP rule that cannot be served, or two that match the same requests",
  "route-shadowed": "requests that another rpc takes, though the path of this one fits them",
  "body-on-get": "a GET whose rule has a body, which proxies and browsers drop",
  "unused-binding": "a binding that repeats another one of its rpc, or a rule in a file that selects no rpc",
  "face-name": "two rpcs with one name in GraphQL, MCP or OpenAPI, or a field that GraphQL cannot name",
  reference: "a reference to an rpc, a field or a type of resources that is not there",
  "openapi-option": "an option for OpenAPI that no document can say",
  "mcp-description": "a tool of MCP without a comment, which a model cannot choose",
  "route-removed": "with --against: a route that clients use and that is gone",
  "route-changed": "with --against: a route whose body, reply or status is another one",
  "required-added": "with --against: a field of a request that was not required",
  "name-changed": "with --against: another name of an rpc in GraphQL, MCP or OpenAPI",
  "graphql-breaking": "with --against: a change that breaks queries of GraphQL",
} as const;

/** Findings in the order of files and lines, as they are printed. */
export function findingsText(findings: readonly Finding[], format: FindingFormat): string {
  const sorted = findings.toSorted(
    (one, other) =>
      one.file.localeCompare(other.file) || one.line - other.line || one.rule.localeCompare(other.rule),
  );
  switch (format) {
    case "json":
      return `${JSON.stringify(sorted, undefined, 2)}\n`;
    case "github":
      return sorted.map(githubLine).join("");
    case "text":
      return sorted.map((finding) => `${placeOf(finding)}${finding.rule}: ${finding.message}\n`).join("");
  }
}

function placeOf({ file, line }: Finding): string {
  if (file === "") return "";
  return line === 0 ? `${file}: ` : `${file}:${line}: `;
}

/** An annotation of GitHub Actions. */
function githubLine({ file, line, rule, message }: Finding): string {
  const parts = [
    file === "" ? "" : `file=${property(file)}`,
    line === 0 ? "" : `line=${line}`,
    `title=${property(rule)}`,
  ];
  const text = message.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  return `::error ${parts.filter(Boolean).join(",")}::${text}\n`;
}

function property(text: string): string {
  return text.replaceAll("%", "%25").replaceAll(":", "%3A").replaceAll(",", "%2C");
}
