import { create } from "@bufbuild/protobuf";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { yaml, type LineCounter, type Node, type Pair } from "../config/yaml.ts";
import { SetupError } from "../errors/setup-error.ts";

/** A service configuration: rules outside the proto. */
export interface RuleText {
  /** Its name in errors, a file name. */
  readonly file: string;
  /** A `google.api.Service` as YAML or JSON. */
  readonly text: string;
}

/** A value with its selector and its position in the file. */
export interface Selected<T> {
  /**
   * `package.Service.Method`, or with `*` as the last component for everything below; several are separated by commas.
   */
  readonly selector: string;
  readonly value: T;
  /** `file:line:column` of the selector. */
  readonly source: string;
}

/** The part of a service configuration that the gateway reads: rules outside the proto. */
export interface ServiceConfig {
  /** `http.rules`, in their order. A rule without a pattern removes bindings. */
  readonly rules: readonly Selected<HttpRule>[];
  /** `http.fully_decode_reserved_expansion`: path decoding `all`. Default false. */
  readonly fullyDecodeReservedExpansion: boolean;
  /** `backend.rules[].deadline` in milliseconds, in their order. */
  readonly deadlinesMs: readonly Selected<number>[];
}

/**
 * Reads a service configuration (`google.api.Service`) in YAML or JSON. Keys may be written as in the proto or in
 * lowerCamelCase. Sections of `google.api.Service` that do not concern HTTP are allowed and ignored.
 *
 * @param text the whole file
 * @param file its name, for error messages
 * @throws Error that begins with `file:line:column` on syntax errors, unknown or repeated keys and wrong types
 */
export function parseServiceConfig(text: string, file: string): ServiceConfig {
  const lines = new (yaml().LineCounter)();
  const document = yaml().parseDocument(text, { lineCounter: lines, merge: false, prettyErrors: false });
  const source: Source = { file, lines };
  const [problem] = document.errors;
  if (problem !== undefined) throw new SetupError(`${place(source, problem.pos[0])}: ${problem.message}`);
  const service = readMap(source, document.contents, "", serviceKeys);
  const type = readString(source, service, "type");
  if (type !== undefined && type !== serviceType) {
    throw wrong(source, service.get("type"), "type", `expected "${serviceType}", found "${type}"`);
  }
  const http = readMap(source, service.get("http"), "http", httpKeys);
  const backend = readMap(source, service.get("backend"), "backend", backendKeys);
  return {
    rules: readList(source, http, "rules", "http.").map((node, index) =>
      readSelectedRule(source, node, `http.rules[${index}]`),
    ),
    fullyDecodeReservedExpansion: readBoolean(source, http, "fully_decode_reserved_expansion", "http."),
    deadlinesMs: readList(source, backend, "rules", "backend.").flatMap((node, index) =>
      readDeadline(source, node, `backend.rules[${index}]`),
    ),
  };
}

const serviceType = "google.api.Service";

const serviceKeys: ReadonlySet<string> = new Set([
  ...["type", "config_version", "name", "id", "title", "producer_project_id", "apis", "types", "enums"],
  ...[
    "documentation",
    "backend",
    "http",
    "quota",
    "authentication",
    "context",
    "usage",
    "endpoints",
    "control",
  ],
  ...["logs", "metrics", "monitored_resources", "billing", "logging", "monitoring", "system_parameters"],
  ...["source_info", "publishing"],
]);
const httpKeys: ReadonlySet<string> = new Set(["rules", "fully_decode_reserved_expansion"]);
const backendKeys: ReadonlySet<string> = new Set(["rules"]);
const patternKeys = ["get", "put", "post", "delete", "patch"] as const;
const additionalKeys: ReadonlySet<string> = new Set([...patternKeys, "custom", "body", "response_body"]);
const ruleKeys: ReadonlySet<string> = new Set([...additionalKeys, "selector", "additional_bindings"]);
const customKeys: ReadonlySet<string> = new Set(["kind", "path"]);
const backendRuleKeys: ReadonlySet<string> = new Set([
  ...[
    "selector",
    "address",
    "deadline",
    "min_deadline",
    "operation_deadline",
    "path_translation",
    "jwt_audience",
  ],
  ...["disable_auth", "protocol", "overrides_by_request_protocol", "load_balancing_policy"],
]);

/** The text in which nodes have their position. */
interface Source {
  readonly file: string;
  readonly lines: LineCounter;
}

type Value = Node | null | undefined;
/** The values of a mapping by their keys' proto names. */
type Fields = ReadonlyMap<string, Value>;

function readSelectedRule(source: Source, node: Value, path: string): Selected<HttpRule> {
  const fields = readMap(source, node, path, ruleKeys);
  const additional = readList(source, fields, "additional_bindings", `${path}.`).map((entry, index) => {
    const entryPath = `${path}.additional_bindings[${index}]`;
    return readRule(source, entry, readMap(source, entry, entryPath, additionalKeys), entryPath);
  });
  // Not specified by http.proto: a rule with only a selector removes the bindings of its rpcs.
  const removesBindings = [...fields.keys()].every((key) => key === "selector");
  const rule = removesBindings ? create(HttpRuleSchema) : readRule(source, node, fields, path);
  rule.additionalBindings = additional;
  return { ...readSelector(source, node, fields, path), value: rule };
}

function readRule(source: Source, node: Value, fields: Fields, path: string): HttpRule {
  const patterns: HttpRule["pattern"][] = [];
  for (const key of patternKeys) {
    const template = readString(source, fields, key, `${path}.`);
    if (template !== undefined) patterns.push({ case: key, value: template });
  }
  if (fields.has("custom")) patterns.push(readCustom(source, fields.get("custom"), `${path}.custom`));
  const [pattern] = patterns;
  if (pattern === undefined || patterns.length > 1) {
    throw wrong(source, node, path, "expected one of get, put, post, delete, patch or custom");
  }
  return create(HttpRuleSchema, {
    pattern,
    body: readString(source, fields, "body", `${path}.`) ?? "",
    responseBody: readString(source, fields, "response_body", `${path}.`) ?? "",
  });
}

function readCustom(source: Source, node: Value, path: string): HttpRule["pattern"] {
  const fields = readMap(source, node, path, customKeys);
  const kind = readString(source, fields, "kind", `${path}.`);
  const template = readString(source, fields, "path", `${path}.`);
  if (kind === undefined || template === undefined) throw wrong(source, node, path, "expected kind and path");
  const custom = create(HttpRuleSchema, { pattern: { case: "custom", value: { kind, path: template } } });
  return custom.pattern;
}

function readDeadline(source: Source, node: Value, path: string): Selected<number>[] {
  const fields = readMap(source, node, path, backendRuleKeys);
  const selected = readSelector(source, node, fields, path);
  const deadline = fields.get("deadline");
  if (deadline === undefined) return [];
  const seconds = yaml().isScalar(deadline) ? deadline.value : undefined;
  if (typeof seconds !== "number" || !Number.isFinite(seconds) || seconds <= 0) {
    throw wrong(source, deadline, `${path}.deadline`, "expected a number of seconds above 0");
  }
  return [{ ...selected, value: seconds * 1000 }];
}

function readSelector(source: Source, node: Value, fields: Fields, path: string) {
  const selector = readString(source, fields, "selector", `${path}.`);
  if (selector === undefined || selector === "") throw wrong(source, node, path, "expected a selector");
  return { selector, source: placeOf(source, fields.get("selector")) };
}

/** The entries of a mapping; a missing or empty node counts as an empty mapping. */
function readMap(source: Source, node: Value, path: string, allowed: ReadonlySet<string>): Fields {
  const fields = new Map<string, Value>();
  if (isAbsent(node)) return fields;
  if (!yaml().isMap(node)) throw wrong(source, node, path, "expected a mapping");
  for (const pair of node.items as Pair<Node, Value>[]) {
    // In a parsed document keys are nodes; only documents built in code have plain values.
    const key = yaml().isScalar(pair.key) ? String(pair.key.value) : "";
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const keyPath = path === "" ? key : `${path}.${key}`;
    if (!allowed.has(name)) throw wrong(source, pair.key, keyPath, "unknown key");
    if (fields.has(name)) throw wrong(source, pair.key, keyPath, "the key is given twice");
    fields.set(name, pair.value);
  }
  return fields;
}

function readList(source: Source, fields: Fields, key: string, prefix: string): Value[] {
  const node = fields.get(key);
  if (isAbsent(node)) return [];
  if (!yaml().isSeq(node)) throw wrong(source, node, prefix + key, "expected a list");
  // Items are nodes in a parsed document.
  return node.items as Node[];
}

function readString(source: Source, fields: Fields, key: string, prefix = ""): string | undefined {
  const node = fields.get(key);
  if (node === undefined) return undefined;
  if (!yaml().isScalar(node) || typeof node.value !== "string")
    throw wrong(source, node, prefix + key, "expected a string");
  return node.value;
}

function readBoolean(source: Source, fields: Fields, key: string, prefix: string): boolean {
  const node = fields.get(key);
  if (node === undefined) return false;
  if (!yaml().isScalar(node) || typeof node.value !== "boolean") {
    throw wrong(source, node, prefix + key, "expected true or false");
  }
  return node.value;
}

function isAbsent(node: Value): boolean {
  return node === undefined || node === null || (yaml().isScalar(node) && node.value === null);
}

function wrong(source: Source, node: Value, path: string, reason: string): Error {
  return new SetupError(`${placeOf(source, node)}: ${path === "" ? "" : `${path}: `}${reason}`);
}

function placeOf(source: Source, node: Value): string {
  return place(source, node?.range?.[0] ?? 0);
}

function place(source: Source, offset: number): string {
  const { line, col } = source.lines.linePos(offset);
  return `${source.file}:${line}:${col}`;
}
