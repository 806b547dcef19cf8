import type { DescFile, DescMethod, DescService, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import type { Optioned } from "../../../core/contract/foreign-options.ts";
import { docsOf, extensionsOf, foreignSchema } from "../../../core/contract/foreign-schema.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import { objectAt, operationOptions, optionPackages } from "./foreign-operation.ts";
import { listOf, objectOf, textOf } from "./foreign-values.ts";
import { schemesOfGnostic, schemesOfSwagger } from "./foreign-security.ts";

/** What options of other projects say of a whole document. */
export interface ForeignDocument {
  readonly info: JsonObject;
  readonly servers: readonly JsonObject[];
  readonly tags: readonly JsonObject[];
  readonly externalDocs: JsonObject | undefined;
  readonly securitySchemes: Readonly<Record<string, JsonObject>>;
  readonly extensions: JsonObject;
}

/** An option that cannot be said in the document. */
export interface LeftOutOption {
  readonly desc: Optioned;
  /** Full name of the file, the service, the rpc, the message or the field. */
  readonly element: string;
  /** Such as `openapiv2_operation.consumes`. */
  readonly option: string;
}

/** Takes the names of what cannot be said. */
type Leave = (option: string) => void;
const drop: Leave = () => {};

/** What `openapiv2_swagger`, `openapiv3_document` and gnostic's `document` say in the files of services. */
export function foreignDocument(files: Iterable<DescFile>): ForeignDocument {
  let found: ForeignDocument = {
    ...{ info: {}, servers: [], tags: [], externalDocs: undefined, securitySchemes: {}, extensions: {} },
  };
  for (const file of files) {
    for (const option of [
      objectAt(file, `${optionPackages.swagger}.openapiv2_swagger`),
      objectAt(file, `${optionPackages.later}.openapiv3_document`),
      objectAt(file, "openapi.v3.document"),
    ]) {
      if (option === undefined) continue;
      const one = documentOf(option, drop);
      found = {
        info: { ...one.info, ...found.info },
        servers: found.servers.length > 0 ? found.servers : one.servers,
        tags: [...found.tags, ...one.tags],
        externalDocs: found.externalDocs ?? one.externalDocs,
        securitySchemes: { ...one.securitySchemes, ...found.securitySchemes },
        extensions: { ...one.extensions, ...found.extensions },
      };
    }
  }
  return found;
}

/** What they say of a service as a tag. */
export function foreignTag(service: DescService): JsonObject {
  const option = objectAt(service, `${optionPackages.swagger}.openapiv2_tag`);
  return option === undefined ? {} : tagOf(option);
}

/** Members of an Operation Object that they give an rpc. */
export function foreignOperation(method: DescMethod, leave: Leave = drop): JsonObject {
  let operation: JsonObject = {};
  for (const [name, option] of operationOptions(method)) {
    operation = { ...operationOf(option, (member) => leave(`${name}.${member}`)), ...operation };
  }
  return operation;
}

/** The options of other projects in a contract that no document says, for a linter. */
export function leftOutOptions(services: readonly DescService[]): readonly LeftOutOption[] {
  const found: LeftOutOption[] = [];
  const at = (desc: Optioned, element: string): Leave => {
    return (option) => void found.push({ desc, element, option });
  };
  for (const file of new Set(services.map((service) => service.file))) {
    for (const name of [
      `${optionPackages.swagger}.openapiv2_swagger`,
      `${optionPackages.later}.openapiv3_document`,
      "openapi.v3.document",
    ]) {
      const option = objectAt(file, name);
      const short = name.slice(name.lastIndexOf(".") + 1);
      if (option !== undefined)
        documentOf(option, (member) => at(file, file.proto.name)(`${short}.${member}`));
    }
  }
  for (const { methods, typeName } of services) {
    for (const method of methods) foreignOperation(method, at(method, `${typeName}.${method.name}`));
  }
  for (const type of typesOf(services)) {
    for (const option of foreignSchema(type).leftOut) at(type, type.typeName)(option);
    if (type.kind === "enum") continue;
    for (const field of type.fields) {
      for (const option of foreignSchema(field).leftOut) at(field, `${type.typeName}.${field.name}`)(option);
    }
  }
  return found;
}

function documentOf(option: JsonObject, leave: Leave): ForeignDocument {
  const { info, host, basePath, schemes, tags, externalDocs, securityDefinitions, extensions } = option;
  const { servers, components, specificationExtension, swagger: _version, openapi: _other, ...rest } = option;
  const moved = new Set(["info", "host", "basePath", "schemes", "tags", "externalDocs"]);
  for (const name of Object.keys(rest)) {
    if (!moved.has(name) && name !== "securityDefinitions" && name !== "extensions") leave(toProtoName(name));
  }
  const hosts = listOf(schemes)
    .map(textOf)
    .filter((scheme) => scheme !== "");
  const url = `${textOf(host) === "" ? "" : `//${textOf(host)}`}${textOf(basePath)}`;
  const urls =
    textOf(host) === "" || hosts.length === 0
      ? [url]
      : hosts.map((scheme) => `${scheme.toLowerCase()}:${url}`);
  return {
    info: infoOf(objectOf(info)),
    servers: [
      ...(url === "" ? [] : urls.map((one) => ({ url: one }))),
      ...listOf(servers).map((one) => plainServer(objectOf(one))),
    ],
    tags: listOf(tags).map((one) => tagOf(objectOf(one))),
    externalDocs: isMembers(externalDocs) ? docsOf(objectOf(externalDocs)) : undefined,
    securitySchemes: {
      ...schemesOfSwagger(objectOf(objectOf(securityDefinitions)["security"])),
      ...schemesOfComponents(objectOf(components), leave),
    },
    extensions: { ...objectOf(extensions), ...extensionsOf(specificationExtension) },
  };
}

function infoOf({ extensions, specificationExtension, ...info }: JsonObject): JsonObject {
  return { ...info, ...objectOf(extensions), ...extensionsOf(specificationExtension) };
}

function plainServer({ url, description }: JsonObject): JsonObject {
  return { url: url ?? "/", ...(description !== undefined && { description }) };
}

function tagOf({
  name,
  description,
  externalDocs,
  extensions,
  specificationExtension,
}: JsonObject): JsonObject {
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(isMembers(externalDocs) && { externalDocs: docsOf(objectOf(externalDocs)) }),
    ...objectOf(extensions),
    ...extensionsOf(specificationExtension),
  };
}

/** Members that all versions have alike. */
const sameMembers = new Set(["tags", "summary", "description", "operationId", "deprecated"]);

function operationOf(option: JsonObject, leave: Leave): JsonObject {
  const operation: Record<string, JsonValue> = {};
  for (const [name, value] of Object.entries(option)) {
    if (sameMembers.has(name)) operation[name] = value;
    else if (name === "externalDocs") operation[name] = docsOf(objectOf(value));
    else if (name === "extensions") Object.assign(operation, objectOf(value));
    else if (name === "specificationExtension") Object.assign(operation, extensionsOf(value));
    else if (
      name === "responses" &&
      isMembers(value) &&
      !("default" in value) &&
      !("responseOrReference" in value)
    )
      operation[name] = Object.fromEntries(
        Object.entries(objectOf(value)).map(([status, one]) => [status, responseOf(objectOf(one), leave)]),
      );
    else if (name === "security" && Array.isArray(value))
      operation[name] = value.map((one) => requirementOf(objectOf(one)));
    else leave(toProtoName(name));
  }
  return operation;
}

/** A response of OpenAPI 2: what it says beside its schema, which the contract says. */
function responseOf(
  { description, extensions, schema, headers, examples }: JsonObject,
  leave: Leave,
): JsonObject {
  if (schema !== undefined) leave("responses.schema");
  if (headers !== undefined) leave("responses.headers");
  if (examples !== undefined) leave("responses.examples");
  return { description: description ?? "", ...objectOf(extensions) };
}

function requirementOf({ securityRequirement, additionalProperties }: JsonObject): JsonObject {
  const ofSwagger = Object.entries(objectOf(securityRequirement)).map(
    ([name, value]): [string, JsonValue] => [name, listOf(objectOf(value)["scope"])],
  );
  const ofGnostic = listOf(additionalProperties).map((one): [string, JsonValue] => {
    const { name, value } = objectOf(one);
    return [textOf(name), listOf(objectOf(value)["value"])];
  });
  return Object.fromEntries([...ofSwagger, ...ofGnostic]);
}

/** Security schemes of gnostic's `components`; all else of these the contract says. */
function schemesOfComponents(
  { securitySchemes, ...rest }: JsonObject,
  leave: Leave,
): Record<string, JsonObject> {
  for (const name of Object.keys(rest)) leave(`components.${toProtoName(name)}`);
  return schemesOfGnostic(objectOf(securitySchemes), (name) => leave(`components.security_schemes.${name}`));
}

function toProtoName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
