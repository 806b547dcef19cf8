import type { JsonObject } from "@bufbuild/protobuf";
import type { Comments } from "../../../core/contract/comments.ts";
import { type JsonSchema, JsonSchemas } from "../../../core/contract/json-schema.ts";
import type { SchemaForm } from "../../../core/contract/schema-form.ts";
import { isHttpBody } from "../../binding/http-body.ts";
import type { FaceHost } from "../face.ts";
import type { McpOptions } from "./mcp-options.ts";
import { wrapper } from "./wrapped-messages.ts";
import type { RpcTool, ShownRpcs } from "./rpc-tool.ts";

const prefix = "#/$defs/";

/** A schema that stands in a tool, with the definitions that it needs. */
interface Root {
  readonly schema: JsonSchema;
}

/**
 * The tools of a contract in JSON, in the order of the contract, a text each. In steps: other work can be done between
 * them.
 */
export function* toolTexts(
  shown: ShownRpcs,
  comments: Comments,
  host: FaceHost,
  options: McpOptions,
): Generator<void, readonly string[]> {
  const form: SchemaForm = {
    fieldNames: host.json.fieldNames,
    enums: host.json.enums,
    int64: host.json.int64,
    defaults: host.json.defaults,
    unknownFields: "reject",
    inputs: "canonical",
    split: true,
    keywords: options.schemas,
    prefix,
    indent: 0,
  };
  const schemas = new JsonSchemas(shown.namer, comments, form, (desc) => shown.has(desc));
  const roots: { readonly tool: RpcTool; readonly input: Root; readonly output: Root | undefined }[] = [];
  for (const tool of shown.tools) {
    roots.push({ tool, input: inputOf(tool, schemas), output: outputOf(tool, schemas) });
    yield;
  }
  yield* schemas.finish();
  const definitions = yield* Definitions.of(schemas);
  const texts: string[] = [];
  for (const { tool, input, output } of roots) {
    texts.push(toolText(tool, comments, definitions.text(input, tool), output && definitions.text(output)));
    yield;
  }
  return texts;
}

function toolText(
  { name, method, face, traits }: RpcTool,
  comments: Comments,
  input: string,
  output: string | undefined,
): string {
  const { text } = comments.of(method);
  const title = face?.title ?? "";
  const readOnlyHint = face?.readOnly ?? traits.safe;
  const destructiveHint = face?.destructive ?? traits.destructive;
  const head = {
    name,
    ...(title !== "" && { title }),
    ...(text !== "" && { description: text }),
    annotations: {
      ...(title !== "" && { title }),
      readOnlyHint,
      ...(destructiveHint !== undefined && { destructiveHint }),
      idempotentHint: face?.idempotent ?? traits.idempotent,
      openWorldHint: face?.openWorld ?? false,
    },
  };
  const rest = `"inputSchema":${input}${output === undefined ? "" : `,"outputSchema":${output}`}`;
  return `${JSON.stringify(head).slice(0, -1)},${rest}}`;
}

function inputOf({ method }: RpcTool, schemas: JsonSchemas): Root {
  const { input, methodKind } = method;
  const schema = schemas.of(input, "input");
  if (methodKind === "client_streaming" || methodKind === "bidi_streaming") {
    return { schema: closed({ [wrapper.messages]: { type: "array", items: schema } }, [wrapper.messages]) };
  }
  return { schema: isObject(schema) ? schema : closed({ [wrapper.value]: schema }, [wrapper.value]) };
}

function outputOf({ method }: RpcTool, schemas: JsonSchemas): Root | undefined {
  const { output, methodKind } = method;
  if (isHttpBody(output)) return undefined;
  const schema = schemas.of(output, "output");
  if (methodKind === "server_streaming" || methodKind === "bidi_streaming") {
    const properties = {
      [wrapper.messages]: { type: "array", items: schema },
      [wrapper.more]: { type: "boolean", description: "Whether the stream goes on." },
    };
    return { schema: { type: "object", properties, required: Object.keys(properties) } };
  }
  if (isObject(schema)) return { schema };
  return { schema: { type: "object", properties: { [wrapper.value]: schema }, required: [wrapper.value] } };
}

function closed(properties: JsonObject, required: string[]): JsonSchema {
  return { type: "object", properties, required, additionalProperties: false };
}

/** Whether a schema is that of an object in any case. */
function isObject(schema: JsonSchema): boolean {
  return "$ref" in schema || schema["type"] === "object";
}

/** A definition as it stands in tools. */
interface Definition {
  /** In JSON. */
  readonly text: string;
  /** The definitions that it refers to. */
  readonly below: readonly string[];
}

/** Definitions that several schemas share, of which each gets those that it needs. */
class Definitions {
  readonly #all = new Map<string, Definition>();

  private constructor() {}

  /** In steps. */
  static *of(schemas: JsonSchemas): Generator<void, Definitions> {
    const made = new Definitions();
    for (const [name, late] of schemas.texts()) {
      const below = new Set(late.references.map((one) => one.toJSON().slice(prefix.length)));
      made.#all.set(name, { text: late.text, below: [...below] });
      yield;
    }
    return made;
  }

  /** A schema with an object at its root, and all that it refers to. */
  text({ schema }: Root, tool?: RpcTool): string {
    const own = "$ref" in schema ? this.#all.get(targetOf(schema)) : undefined;
    const { text, below } = own ?? wrapped(schema);
    const root = tool === undefined ? text : marked(text, tool);
    const names = this.#reached(below);
    const base = root === '{"type":"object"}' && tool !== undefined ? empty : root;
    if (names.length === 0) return base;
    const parts = names.map((one) => `${JSON.stringify(one)}:${this.#all.get(one)?.text ?? "{}"}`);
    return `${base.slice(0, -1)},"$defs":{${parts.join(",")}}}`;
  }

  #reached(first: readonly string[]): readonly string[] {
    const seen = new Set(first);
    for (const name of seen) for (const next of this.#all.get(name)?.below ?? []) seen.add(next);
    return [...seen].sort();
  }
}

/** The definition that a schema is, which says nothing else. */
function targetOf(schema: JsonSchema): string {
  const { $ref } = JSON.parse(JSON.stringify(schema)) as { readonly $ref: string }; // As its caller has seen.
  return $ref.slice(prefix.length);
}

/** A schema that is not a definition itself. */
function wrapped(schema: JsonSchema): Definition {
  const text = JSON.stringify(schema);
  return { text, below: referred(text) };
}

/** The schema of no arguments. */
const empty = '{"type":"object","properties":{},"additionalProperties":false}';

function referred(text: string): readonly string[] {
  return [...text.matchAll(/"\$ref":"#\/\$defs\/([^"]+)"/g)].map(([, name = ""]) => name);
}

/** Says at properties which headers repeat them. @param text a schema in JSON */
function marked(text: string, { headers }: RpcTool): string {
  if (headers.length === 0) return text;
  const schema = JSON.parse(text) as JsonObject; // It is the text of one.
  const { properties } = schema;
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) return text;
  const changed: JsonObject = { ...properties };
  for (const { argument, header } of headers) {
    const own = changed[argument];
    if (typeof own === "object" && own !== null && !Array.isArray(own))
      changed[argument] = { ...own, "x-mcp-header": header };
  }
  return JSON.stringify({ ...schema, properties: changed });
}
