import type { JsonObject } from "@bufbuild/protobuf";
import { extensionsOf } from "../../../core/contract/foreign-schema.ts";
import { namedOf, objectOf, textOf } from "./foreign-values.ts";

const flows: Readonly<Record<string, string>> = {
  FLOW_IMPLICIT: "implicit",
  FLOW_PASSWORD: "password",
  FLOW_APPLICATION: "clientCredentials",
  FLOW_ACCESS_CODE: "authorizationCode",
};

/** The `securityDefinitions` of grpc-gateway's options as Security Scheme Objects. */
export function schemesOfSwagger(definitions: JsonObject): Record<string, JsonObject> {
  const schemes = Object.entries(definitions).map(([name, value]): [string, JsonObject] => {
    const scheme = objectOf(value);
    const { type, description, in: place, name: header, flow, authorizationUrl, tokenUrl, scopes } = scheme;
    const said = { ...(description !== undefined && { description }), ...objectOf(scheme["extensions"]) };
    if (type === "TYPE_BASIC") return [name, { type: "http", scheme: "basic", ...said }];
    if (type === "TYPE_API_KEY")
      return [
        name,
        { type: "apiKey", in: place === "IN_QUERY" ? "query" : "header", name: header ?? "", ...said },
      ];
    const oneFlow = {
      ...(authorizationUrl !== undefined && { authorizationUrl }),
      ...(tokenUrl !== undefined && { tokenUrl }),
      scopes: objectOf(objectOf(scopes)["scope"]),
    };
    return [name, { type: "oauth2", flows: { [flows[textOf(flow)] ?? "implicit"]: oneFlow }, ...said }];
  });
  return Object.fromEntries(schemes);
}

/**
 * The `securitySchemes` of gnostic's options as Security Scheme Objects.
 *
 * @param leave takes the names of schemes that only refer to others, which are not said
 */
export function schemesOfGnostic(map: JsonObject, leave: (name: string) => void): Record<string, JsonObject> {
  return Object.fromEntries(
    namedOf(map).flatMap(([name, value]): [string, JsonObject][] => {
      const { securityScheme } = objectOf(value);
      if (securityScheme === undefined) {
        leave(name);
        return [];
      }
      const { flows: given, specificationExtension, ...scheme } = objectOf(securityScheme);
      const inFlows = given === undefined ? {} : { flows: flowsOf(objectOf(given)) };
      return [[name, { ...scheme, ...inFlows, ...extensionsOf(specificationExtension) }]];
    }),
  );
}

function flowsOf({ specificationExtension, ...named }: JsonObject): JsonObject {
  const each = Object.entries(named).map(([name, value]): [string, JsonObject] => {
    const { scopes, specificationExtension: own, ...urls } = objectOf(value);
    return [name, { ...urls, scopes: Object.fromEntries(namedOf(objectOf(scopes))), ...extensionsOf(own) }];
  });
  return { ...Object.fromEntries(each), ...extensionsOf(specificationExtension) };
}
