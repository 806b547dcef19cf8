import {
  type DescField,
  type DescMessage,
  type DescService,
  getOption,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { file_google_rpc_error_details } from "../../../../gen/google/rpc/error_details_pb.ts";
import { faces, field_faces, service_faces } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import { access } from "../../../../gen/ts_ms/v1/options_pb.ts";
import type { Comments } from "../../../core/contract/comments.ts";
import { JsonSchemas } from "../../../core/contract/json-schema.ts";
import { type DescType, Namer } from "../../../core/contract/namer.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import { Visibility } from "../../../core/contract/visibility.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { routableMethods } from "../../../core/http-rule/http-methods.ts";
import type { Contract, FaceHost } from "../face.ts";
import type { OpenapiOptions } from "./openapi-options.ts";
import { type PathText, PathTexts } from "./path-text.ts";
import { queryParameters } from "./query-parameters.ts";
import { requestBody } from "./request-body.ts";
import { errorResponses, errorSchema, responsesOf } from "./responses.ts";
import type { DocumentVersion } from "./stream-content.ts";

/** What a document is of. */
export interface DocumentInit {
  readonly contract: Pick<Contract, "services" | "routes">;
  readonly comments: Comments;
  readonly host: FaceHost;
  readonly options: OpenapiOptions;
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
/** The methods of a route for any method. */
const anyMethod = ["GET", "PUT", "POST", "DELETE", "PATCH"];
/** Longest time that the document takes the thread, in milliseconds. */
const sliceMs = 10;

/** Makes an OpenAPI document of a contract: the same contract gives the same text. Other work goes on meanwhile. */
export async function makeDocument(init: DocumentInit): Promise<JsonObject> {
  const writer = new DocumentWriter(init);
  let since = performance.now();
  for (const _ of writer.write()) {
    if (performance.now() - since < sliceMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
  return writer.document();
}

class DocumentWriter {
  readonly #init: DocumentInit;
  readonly #services: readonly DescService[];
  readonly #visibility: Visibility;
  readonly #namer: Namer;
  readonly #schemas: JsonSchemas;
  readonly #texts = new PathTexts();
  readonly #paths = new Map<string, Record<string, JsonValue>>();
  readonly #counts = new Map<string, number>();
  #detail: JsonObject = {};

  constructor(init: DocumentInit) {
    const { contract, options, host, comments, inputs } = init;
    this.#init = init;
    this.#visibility = new Visibility(options.visibility);
    const chosen = new Set(options.services);
    this.#services = contract.services.filter(
      (service) =>
        (chosen.size === 0 || chosen.has(service.typeName)) &&
        !getOption(service, service_faces).hidden &&
        this.#visibility.shows(service),
    );
    const types = [...typesOf(this.#services), ...file_google_rpc_error_details.messages];
    this.#namer = new Namer(this.#services, types);
    const { json, unknownFields } = host;
    const form = {
      ...json,
      unknownFields,
      inputs,
      split: options.split,
      keywords: "full",
      prefix: "#/components/schemas/",
    } as const;
    this.#schemas = new JsonSchemas(this.#namer, comments, form, (desc) => this.#isShown(desc));
  }

  /** Describes one route after another. */
  *write(): Generator<void> {
    const { routes } = this.#init.contract;
    const shown = new Set(this.#services);
    const bound = new Set(routes.filter(({ implicit }) => !implicit).map(({ method }) => method));
    for (const route of routes) {
      if (!shown.has(route.method.parent)) continue;
      const { method, implicit } = route;
      if (implicit && bound.has(method) && !this.#init.options.implicit) continue;
      if (getOption(method, faces).openapi?.hidden === true || !this.#visibility.shows(method)) continue;
      this.#operation(route);
      yield;
    }
    this.#detail = detailSchema((type) => this.#schemas.of(type, "output"));
  }

  document(): JsonObject {
    const { options, host, version } = this.#init;
    const { security, externalDocs, servers } = options;
    const hasSecurity = Object.keys(security).length > 0;
    const definitions = this.#schemas.definitions();
    const document: JsonObject = {
      openapi: version,
      info: this.#info(),
      servers: [...servers],
      ...(hasSecurity && { security: Object.keys(security).map((name) => ({ [name]: [] })) }),
      tags: [...options.tags, ...this.#services.map((service) => this.#tag(service))],
      paths: Object.fromEntries(this.#paths),
      components: {
        schemas: { ...definitions, Error: errorSchema(host.errorFormat), ErrorDetail: this.#detail },
        responses: errorResponses(host.errorFormat),
        ...(hasSecurity && { securitySchemes: { ...security } }),
      },
      ...(externalDocs !== undefined && { externalDocs }),
    };
    const plain = JSON.parse(JSON.stringify(document)) as JsonObject; // With the names of references.
    return options.base === undefined ? plain : laidOver(plain, options.base);
  }

  #isShown(desc: DescField | DescType): boolean {
    return this.#visibility.shows(desc) && (desc.kind !== "field" || !getOption(desc, field_faces).hidden);
  }

  #info(): JsonObject {
    const { options, comments } = this.#init;
    const [first, ...more] = this.#services;
    const own = first !== undefined && more.length === 0 ? comments.of(first).text : "";
    const description = options.description ?? own;
    return {
      title: options.title ?? first?.name ?? "API",
      version: options.version,
      ...(description !== "" && { description }),
      ...(options.contact !== undefined && { contact: options.contact }),
      ...(options.license !== undefined && { license: options.license }),
    };
  }

  #tag(service: DescService): JsonObject {
    const { text } = this.#init.comments.of(service);
    return { name: this.#tagName(service), ...(text !== "" && { description: text }) };
  }

  #tagName(service: DescService): string {
    const { tag } = getOption(service, service_faces);
    return tag === "" ? this.#namer.service(service) : tag;
  }

  #operation(route: Route): void {
    const { httpMethod } = route;
    const path = this.#texts.of(route);
    const item = this.#paths.get(path.text) ?? {};
    this.#paths.set(path.text, item);
    for (const verb of httpMethod === "*" ? anyMethod : [httpMethod]) {
      if (fixedMethods.has(verb)) item[verb.toLowerCase()] ??= this.#operationOf(route, path);
      else if (routableMethods.has(verb)) this.#otherMethod(item, verb, this.#operationOf(route, path));
    }
  }

  /** A method that Path Item Objects have no member for. */
  #otherMethod(item: Record<string, JsonValue>, verb: string, operation: JsonObject): void {
    const { version } = this.#init;
    if (version === "3.2.0" && verb === "QUERY") {
      item["query"] = operation;
      return;
    }
    const name = version === "3.2.0" ? "additionalOperations" : "x-ts-ms-methods";
    item[name] = { ...(item[name] as JsonObject | undefined), [verb]: operation }; // As this method has set it.
  }

  #operationOf(route: Route, path: PathText): JsonObject {
    const { method } = route;
    const { comments, options, version } = this.#init;
    const { openapi } = getOption(method, faces);
    const { summary, text } = comments.of(method);
    const title = openapi === undefined || openapi.summary === "" ? summary : openapi.summary;
    const isSecured =
      Object.keys(options.security).length > 0 && getOption(method, access).level !== "public";
    const parameters = [
      ...this.#pathParameters(path),
      ...queryParameters(route, this.#schemas, (field) => this.#isShown(field)),
    ];
    const body = requestBody(route, this.#schemas, { binary: options.binary, version });
    return {
      operationId: this.#id(route, openapi?.operationId ?? ""),
      tags:
        openapi === undefined || openapi.tags.length === 0 ? [this.#tagName(method.parent)] : openapi.tags,
      ...(title !== "" && { summary: title }),
      ...(text !== "" && { description: text }),
      ...(method.deprecated && { deprecated: true }),
      ...(!isSecured && Object.keys(options.security).length > 0 && { security: [] }),
      ...(parameters.length > 0 && { parameters }),
      ...(body !== undefined && { requestBody: body }),
      responses: responsesOf(route, this.#schemas, { binary: options.binary, version, isSecured }),
      ...(method.methodKind !== "unary" && { "x-ts-ms-websocket": true }),
    };
  }

  #pathParameters({ parameters }: PathText): JsonObject[] {
    return parameters.map(({ name, field, multiSegment }) => {
      const whole: JsonObject =
        field === undefined ? { type: "string" } : this.#schemas.ofField(field, "input");
      const { description, readOnly: _readOnly, ...rest } = whole;
      const isText =
        rest["type"] === "string" && !("minLength" in rest) && !("format" in rest) && !multiSegment;
      return {
        name,
        in: "path",
        required: true,
        ...(description !== undefined && { description }),
        schema: isText ? { ...rest, minLength: 1 } : rest,
        ...(multiSegment && { "x-ts-ms-multi-segment": true }),
      };
    });
  }

  /** The id of an operation: each further binding of an rpc has a number. */
  #id({ method }: Route, given: string): string {
    const name = given === "" ? this.#namer.operation(method) : given;
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count === 1 ? name : `${name}_${count}`;
  }
}

function isDetail({ typeName, parent }: DescMessage): boolean {
  return parent === undefined && typeName.startsWith("google.rpc.");
}

/** A detail of an error: one of the standard types, or any other message. @param refOf schema of one of these */
function detailSchema(refOf: (type: DescMessage) => JsonObject): JsonObject {
  const typed = (name: JsonObject): JsonObject => ({ properties: { "@type": name }, required: ["@type"] });
  const standard = file_google_rpc_error_details.messages.filter(isDetail).map((type) => ({
    allOf: [refOf(type), { type: "object", ...typed({ const: `type.googleapis.com/${type.typeName}` }) }],
  }));
  return {
    description: "A message with its type: one of the standard ones, or any other.",
    anyOf: [...standard, { type: "object", ...typed({ type: "string" }), additionalProperties: true }],
  };
}

function laidOver(below: JsonObject, above: JsonObject): JsonObject {
  const result: Record<string, JsonValue> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const before = result[name];
    result[name] = isObject(before) && isObject(value) ? laidOver(before, value) : value;
  }
  return result;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
