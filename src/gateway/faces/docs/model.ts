import type { DescEnum, DescMessage, DescService, JsonObject } from "@bufbuild/protobuf";
import type { Comments } from "../../../core/contract/comments.ts";
import { JsonSchemas } from "../../../core/contract/json-schema.ts";
import { type DescType, Namer } from "../../../core/contract/namer.ts";
import { typesOf } from "../../../core/contract/reachable-types.ts";
import { messageRuleTexts } from "../../../core/contract/schema-rules.ts";
import type { FaceHost } from "../face.ts";
import type { DocsExample, DocsOptions } from "./docs-options.ts";
import { fieldModel, type FieldParts } from "./field-model.ts";
import { rpcModel } from "./rpc-model.ts";
import type { ModelInit, ShownDocs } from "./shown-contract.ts";

/** The text of the model that the page of the console reads, `Model` in `page/model.js`, in steps. */
export function* modelText({ shown, comments, options, host }: ModelInit): Generator<void, string> {
  const types = typesWithin(shown);
  const schemas = new JsonSchemas(new Namer(shown.services, types), comments, formOf(host), shown.isVisible);
  yield;
  const head = JSON.stringify(headOf(shown, options, host));
  const parts: FieldParts = { comments, schemas };
  const services: string[] = [];
  const routes = Map.groupBy(shown.routes, ({ method }) => method);
  for (const service of shown.services) {
    const rpcs: JsonObject[] = [];
    for (const method of service.methods) {
      if (!shown.isVisible(method)) continue;
      const examples = (options.examples[`${service.typeName}/${method.name}`] ?? []).map(exampleModel);
      rpcs.push(
        rpcModel(method, routes.get(method) ?? [], {
          comments,
          examples,
          nameOf: (field) => schemas.nameOf(field),
        }),
      );
      yield;
    }
    services.push(JSON.stringify({ ...elementModel(service, comments), rpcs }));
  }
  const described: string[] = [];
  for (const type of types) {
    if (!shown.isVisible(type)) continue;
    described.push(
      JSON.stringify(type.kind === "enum" ? enumModel(type, comments) : messageModel(type, shown, parts)),
    );
    yield;
  }
  return `{${head.slice(1, -1)},"services":[${services.join(",\n")}],"types":[${described.join(",\n")}]}\n`;
}

/** The types of calls, and those that an Any in one of them may have. */
function typesWithin({ services, registry }: ShownDocs): readonly DescType[] {
  const known = typesOf(services);
  const hasAny = known.some(({ typeName }) => typeName === "google.protobuf.Any");
  if (!hasAny || registry === undefined) return known;
  const further = [...registry].filter((desc) => desc.kind === "message" || desc.kind === "enum");
  return [...new Map([...known, ...further].map((type) => [type.typeName, type])).values()];
}

function formOf({ json, unknownFields }: FaceHost): ConstructorParameters<typeof JsonSchemas>[2] {
  return { ...json, unknownFields, inputs: "canonical", split: false, keywords: "full", prefix: "" };
}

function headOf({ services }: ShownDocs, options: DocsOptions, host: FaceHost): JsonObject {
  return {
    title: options.title ?? services[0]?.name ?? "API",
    links: options.links.map(({ text, url }) => ({ text, url })),
    call: options.call,
    live: options.live !== false,
    prefix: host.prefix(),
    ...(host.webSockets && host.multiplexPath !== undefined && { socket: host.multiplexPath }),
    json: pickJson(host.json),
    unknownFields: host.unknownFields,
    limits: {
      defaultTimeoutMs: host.defaultTimeoutMs,
      maxTimeoutMs: host.maxTimeoutMs,
      maxBodyBytes: host.maxBodyBytes,
    },
  };
}

function pickJson({ fieldNames, enums, int64, defaults }: FaceHost["json"]): JsonObject {
  return { fieldNames, enums, int64, defaults };
}

function exampleModel({ name, message, headers }: DocsExample): JsonObject {
  // Written as a text, so that the page shows it as it is.
  return {
    name,
    message: JSON.stringify(message),
    ...(headers !== undefined && { headers: { ...headers } }),
  };
}

function elementModel(desc: DescService | DescType, comments: Comments): JsonObject {
  const { text, deprecation } = comments.of(desc);
  return {
    name: desc.typeName,
    file: `${desc.file.name}.proto`,
    ...(text !== "" && { comment: text }),
    ...(desc.deprecated && { deprecated: deprecation ?? true }),
  };
}

function messageModel(type: DescMessage, { isVisible }: ShownDocs, parts: FieldParts): JsonObject {
  const { comments } = parts;
  const rules = messageRuleTexts(type).join("\n\n");
  return {
    kind: "message",
    ...elementModel(type, comments),
    fields: type.fields.filter(isVisible).map((field) => fieldModel(field, parts)),
    ...(type.oneofs.length > 0 && {
      oneofs: type.oneofs.map((oneof) => {
        const { text } = comments.of(oneof);
        return { name: oneof.name, ...(text !== "" && { comment: text }) };
      }),
    }),
    ...(rules !== "" && { rules }),
  };
}

function enumModel(type: DescEnum, comments: Comments): JsonObject {
  return {
    kind: "enum",
    ...elementModel(type, comments),
    values: type.values.map((value) => {
      const { text } = comments.of(value);
      return {
        name: value.jsonName,
        number: value.number,
        ...(text !== "" && { comment: text }),
        ...(value.deprecated && { deprecated: true }),
      };
    }),
  };
}
