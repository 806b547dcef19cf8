import { readFileSync } from "node:fs";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { OpenapiConfig } from "../../../gen/ts_ms/config/v1/openapi_pb.ts";
import { isMembers } from "../../core/codec/json-members.ts";
import { yaml } from "../../core/config/yaml.ts";
import { openapi } from "../../gateway/faces/openapi/openapi.ts";
import type { OpenapiOptions } from "../../gateway/faces/openapi/openapi-options.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import { securityScheme } from "./openapi-security.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The OpenAPI document of every HTTP server. */
export function open(kit: SectionKit): SectionParts {
  const section = kit.config.openapi;
  const options = section === undefined ? {} : optionsOf(section, kit);
  return { faces: [explained(kit, "openapi", () => openapi(options))] };
}

function optionsOf(section: OpenapiConfig, kit: SectionKit): Partial<OpenapiOptions> {
  const { path, version, title, description, contact, license, servers, tags, externalDocs } = section;
  const { security, implicit, binary, inputs, split, base, services, visibility } = section;
  if (license?.identifier !== undefined && license.url !== undefined)
    throw kit.mistake("openapi.license.url", "not with an identifier: give one of them");
  const schemes = Object.entries(security).map(([name, scheme]): [string, JsonObject] => [
    name,
    securityScheme(`openapi.security.${name}`, scheme, kit),
  ]);
  return {
    ...{ path, version, implicit, binary, split },
    inputs: inputs === "exact" ? "exact" : "canonical",
    ...given({
      ...{ title, description, services, visibility },
      contact: contact && given({ name: contact.name, url: contact.url, email: contact.email }),
      license: license && given({ name: license.name, identifier: license.identifier, url: license.url }),
      servers: servers.map((one) => given({ url: one.url, description: one.description })),
      tags: tags.map((one) => given({ name: one.name, description: one.description })),
      externalDocs: externalDocs && given({ url: externalDocs.url, description: externalDocs.description }),
      security: schemes.length === 0 ? undefined : Object.fromEntries(schemes),
      base: base === undefined ? undefined : readObject(base, kit),
    }),
  };
}

function readObject(file: string, { mistake }: SectionKit): JsonObject {
  let value: unknown;
  try {
    value = yaml().parse(readFileSync(file, "utf8"));
  } catch (reason) {
    throw mistake("openapi.base", reason instanceof Error ? reason.message : String(reason));
  }
  const object = JSON.parse(JSON.stringify(value ?? null)) as JsonValue; // Without what JSON has not.
  if (!isMembers(object)) throw mistake("openapi.base", `${file} has no object at its top`);
  return object;
}
