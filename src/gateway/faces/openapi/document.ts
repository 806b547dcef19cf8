import {
  type DescService,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "../../../../gen/google/rpc/error_details_pb.ts";
import { service_faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import { isMembers } from "../../../core/codec/json-members.ts";
import type { Comments } from "../../../core/contract/comments.ts";
import { type LateText, lateText } from "../../../core/contract/late-text.ts";
import { JsonSchemas } from "../../../core/contract/json-schema.ts";
import type { Sided } from "../../../core/contract/schema-names.ts";
import { type DescType, Namer } from "../../../core/contract/namer.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { routableMethods } from "../../../core/http-rule/http-methods.ts";
import type { FaceHost } from "../face.ts";
import { detailSchema, errorResponses, errorSchema } from "./error-schemas.ts";
import { type ForeignDocument, foreignOperation, foreignTag } from "./foreign-documents.ts";
import { laidOver } from "./laid-over.ts";
import { openapiDefaults, type OpenapiOptions } from "./openapi-options.ts";
import { type PathText, PathTexts } from "../path-text.ts";
import { headerParameters } from "./header-parameters.ts";
import { OperationExamples } from "./operation-examples.ts";
import { pathParameters } from "./path-parameters.ts";
import { queryParameters } from "./query-parameters.ts";
import { requestBody } from "./request-body.ts";
import { responsesOf } from "./responses.ts";
import { faceOf, type Shown, verbsOf } from "./shown-routes.ts";
import { type DocumentSecurity, requirementsOf } from "./security-schemes.ts";
import type { DocumentVersion } from "./stream-content.ts";

/** What a document is of. */
export interface DocumentInit {
  readonly shown: Shown;
  /** The ids of operations, see `operationIds`. */
  readonly ids: ReadonlyMap<Route, readonly string[]>;
  readonly comments: Comments;
  /** What options of other projects say, see `foreignDocument`. */
  readonly foreign: ForeignDocument;
  readonly host: FaceHost;
  /** Types that `google.protobuf.Any` may contain in examples, beside the standard ones. */
  readonly registry: Registry | undefined;
  readonly options: OpenapiOptions;
  readonly security: DocumentSecurity;
  readonly version: DocumentVersion;
  readonly inputs: OpenapiOptions["inputs"];
}

/** HTTP methods that a Path Item Object of every version has. */
const fixedMethods: ReadonlySet<string> = new Set([
  "GET",
  "PUT",
  "POST",
  "DELETE",
  "OPTIONS",
  "HEAD",
  "PATCH",
  "TRACE",
]);
/**
 * Makes an OpenAPI document of a contract, in steps: the same contract gives the same text. References are texts as soon
 * as they are JSON.
 */
export function* makeDocument(init: DocumentInit): Generator<void, JsonObject> {
  const types = [...typesOf(init.shown.services), ...file_google_rpc_error_details.messages];
  yield;
  const namer = new Namer(init.shown.services, types);
  yield;
  const writer = new DocumentWriter(init, namer, types);
  yield* writer.write();
  return writer.document();
}

class DocumentWriter {
  readonly #init: DocumentInit;
  readonly #shown: Shown;
  readonly #namer: Namer;
  readonly #schemas: JsonSchemas;
  readonly #examples: OperationExamples;
  readonly #texts = new PathTexts();
  readonly #paths = new Map<string, Record<string, JsonValue>>();
  #detail: JsonObject = {};
  #definitions: ReadonlyMap<string, LateText<Sided>> = new Map();

  constructor(init: DocumentInit, namer: Namer, types: readonly DescType[]) {
    const { shown, options, host, comments, inputs } = init;
    this.#init = init;
    this.#shown = shown;
    this.#namer = namer;
    const { json, unknownFields } = host;
    const form = {
      ...json,
      unknownFields,
      inputs,
      split: options.split,
      keywords: "full",
      prefix: "#/components/schemas/",
    } as const;
    this.#schemas = new JsonSchemas(this.#namer, comments, form, (desc) => shown.has(desc));
    const writing = { ...json, registry: init.registry };
    this.#examples = new OperationExamples(writing, (field) => shown.has(field), types);
  }

  /** Describes one route after another. */
  *write(): Generator<void> {
    const { routes } = this.#shown;
    const texts = new Map(routes.map((route) => [route, this.#texts.of(route)]));
    for (const { text } of texts.values()) this.#paths.set(text, {});
    yield;
    // A route for any method has those that no other route has.
    for (const isAny of [false, true]) {
      for (const [route, path] of texts) {
        if ((route.httpMethod === "*") !== isAny) continue;
        this.#operations(route, path);
        yield;
      }
    }
    this.#detail = detailSchema((type) => this.#schemas.of(type, "output"));
    yield* this.#schemas.finish();
    this.#definitions = this.#schemas.texts();
    yield;
  }

  document(): JsonObject {
    const { options, host, version, security } = this.#init;
    const { servers } = options;
    const foreign = this.#init.foreign;
    const externalDocs = options.externalDocs ?? foreign.externalDocs;
    const { schemes } = security;
    const hasSecurity = Object.keys(schemes).length > 0;
    const document: JsonObject = {
      openapi: version,
      info: this.#info(),
      servers: servers === openapiDefaults.servers ? this.#servers() : [...servers],
      ...(hasSecurity && { security: requirementsOf(schemes, "required") }),
      tags: this.#tags(),
      paths: Object.fromEntries(this.#paths),
      components: {
        schemas: {
          ...textsOf(this.#definitions),
          Error: errorSchema(host.errorFormat),
          ErrorDetail: this.#detail,
        },
        responses: errorResponses(host.errorFormat),
        ...(hasSecurity && { securitySchemes: { ...schemes } }),
      },
      ...(externalDocs !== undefined && { externalDocs }),
      ...(host.unknownQuery === "reject" && { "x-ts-ms-unknown-query": "reject" }),
      ...foreign.extensions,
    };
    if (options.base === undefined) return document;
    return laidOver(JSON.parse(JSON.stringify(document)) as JsonObject, options.base); // With the texts of references.
  }

  #servers(): JsonObject[] {
    const { servers } = this.#init.foreign;
    return servers.length > 0 ? [...servers] : [{ url: `${this.#init.host.prefix()}/` }];
  }

  #info(): JsonObject {
    const { options, comments } = this.#init;
    const [first, ...more] = this.#shown.services;
    const own = first !== undefined && more.length === 0 ? comments.of(first).text : "";
    const { title, version, description: theirs, ...info } = this.#init.foreign.info;
    const description = options.description ?? theirs ?? own;
    return {
      title: options.title ?? title ?? first?.name ?? "API",
      version: options.version === openapiDefaults.version ? (version ?? options.version) : options.version,
      ...(description !== "" && { description }),
      ...info,
      ...(options.contact !== undefined && { contact: options.contact }),
      ...(options.license !== undefined && { license: options.license }),
    };
  }

  /** Those of the options, of the services, and of the operations; each name once. */
  #tags(): JsonObject[] {
    const { services, routes } = this.#shown;
    const further = routes.flatMap(({ method }) => tagsOf(method)).map((name) => ({ name }));
    const all: JsonObject[] = [
      ...this.#init.options.tags,
      ...this.#init.foreign.tags,
      ...services.map((service) => this.#tag(service)),
      ...further,
    ];
    const byName = new Map<JsonValue | undefined, JsonObject>();
    for (const tag of all) if (!byName.has(tag["name"])) byName.set(tag["name"], tag);
    return [...byName.values()];
  }

  #tag(service: DescService): JsonObject {
    const { text } = this.#init.comments.of(service);
    return {
      name: this.#tagName(service),
      ...(text !== "" && { description: text }),
      ...foreignTag(service),
    };
  }

  #tagName(service: DescService): string {
    const tag = hasOption(service, service_faces) ? getOption(service, service_faces).tag : "";
    if (tag !== "") return tag;
    const { name } = foreignTag(service);
    return typeof name === "string" ? name : this.#namer.service(service);
  }

  #operations(route: Route, path: PathText): void {
    const item = this.#paths.get(path.text) ?? {};
    const ids = this.#init.ids.get(route) ?? [];
    for (const [at, verb] of verbsOf(route).entries()) {
      const name = verb.toLowerCase();
      const operation = asJson(lateText(this.#operationOf(route, path, ids[at] ?? "")));
      if (!fixedMethods.has(verb)) {
        if (routableMethods.has(verb)) this.#otherMethod(item, verb, operation);
      } else if (item[name] === undefined) item[name] = operation;
      else if (route.httpMethod !== "*") this.#further(item, name, operation);
    }
  }

  /** A second route of one path and method, one of which takes more segments. */
  #further(item: Record<string, JsonValue>, name: string, operation: JsonValue): void {
    const before = item["x-ts-ms-further"] as JsonObject[] | undefined; // As this method has set it.
    item["x-ts-ms-further"] = [...(before ?? []), { [name]: operation }];
  }

  /** A method that Path Item Objects have no member for. */
  #otherMethod(item: Record<string, JsonValue>, verb: string, operation: JsonValue): void {
    const { version } = this.#init;
    if (version === "3.2.0" && verb === "QUERY") {
      item["query"] = operation;
      return;
    }
    const name = version === "3.2.0" ? "additionalOperations" : "x-ts-ms-methods";
    item[name] = { ...(item[name] as JsonObject | undefined), [verb]: operation }; // As this method has set it.
  }

  #operationOf(route: Route, path: PathText, operationId: string): JsonObject {
    const { method } = route;
    const { comments, options, version, inputs, host, security } = this.#init;
    const face = faceOf(method);
    const { summary, text } = comments.of(method);
    const { tags: _tags, summary: short, responses, operationId: _id, ...theirs } = foreignOperation(method);
    const title = [face?.summary, short, summary].find((one) => one !== undefined && one !== "");
    const { schemes } = security;
    const need = security.needOf(method);
    const example = this.#examples.of(route);
    const parameters = [
      ...pathParameters(path, this.#schemas, example.path),
      ...queryParameters(route, this.#schemas, (field) => this.#shown.has(field), example.query),
      ...headerParameters(route, host),
    ];
    const body = requestBody(route, this.#schemas, {
      ...{ binary: options.binary, version, inputs, example: example.body },
      isVisible: (field) => this.#shown.has(field),
      isClosed: host.unknownFields === "reject",
    });
    return {
      operationId,
      tags: tagsOf(method).length > 0 ? [...tagsOf(method)] : [this.#tagName(method.parent)],
      summary: title ?? wordsOf(method.name),
      ...(text !== "" && { description: text }),
      ...(method.deprecated && { deprecated: true }),
      ...(need !== "required" &&
        Object.keys(schemes).length > 0 && { security: requirementsOf(schemes, need) }),
      ...(parameters.length > 0 && { parameters }),
      ...(body !== undefined && { requestBody: body }),
      responses: withResponses(
        responsesOf(route, this.#schemas, {
          ...{ binary: options.binary, version, host, example: example.reply },
          isSecured: need !== "none",
        }),
        responses,
      ),
      ...theirs,
      ...(method.methodKind !== "unary" && host.webSockets && { "x-ts-ms-websocket": true }),
    };
  }
}

function textsOf(texts: ReadonlyMap<string, LateText<Sided>>): Record<string, JsonValue> {
  return Object.fromEntries([...texts].map(([name, text]) => [name, asJson(text)]));
}

/** A late text as the value that it is in JSON. */
function asJson(text: LateText<Sided>): JsonValue {
  return text as unknown as JsonValue; // Writers of documents know late texts.
}

/** The tags that a contract gives an rpc. */
function tagsOf(method: Route["method"]): readonly string[] {
  const own = faceOf(method)?.tags ?? [];
  const { tags } = own.length > 0 ? { tags: own } : foreignOperation(method);
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** Responses with what others say of some statuses. */
function withResponses(responses: JsonObject, theirs: JsonValue | undefined): JsonObject {
  if (!isMembers(theirs)) return responses;
  const said = Object.entries(theirs).map(([status, response]): [string, JsonValue] => {
    const own = responses[status];
    return [
      status,
      isMembers(own) && isMembers(response) && !("$ref" in own) ? { ...own, ...response } : response,
    ];
  });
  return { ...responses, ...Object.fromEntries(said) };
}

/** `Get item` of `GetItem`. */
function wordsOf(name: string): string {
  const words = name.replaceAll(/([a-z\d])([A-Z])/g, "$1 $2").toLowerCase();
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
