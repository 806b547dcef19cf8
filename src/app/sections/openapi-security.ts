import type { JsonObject } from "@bufbuild/protobuf";
import type { OpenapiFlowConfig, OpenapiSecurityConfig } from "../../../gen/ts_ms/config/v1/openapi_pb.ts";
import { given } from "./given.ts";
import type { SectionKit } from "./section.ts";

/** What a scheme of each type must have. */
const needed: Readonly<Record<string, readonly [name: keyof OpenapiSecurityConfig, key: string][]>> = {
  http: [["scheme", "scheme"]],
  apiKey: [
    ["name", "name"],
    ["in", "in"],
  ],
  oauth2: [["flows", "flows"]],
  openIdConnect: [["openIdConnectUrl", "open_id_connect_url"]],
};

/**
 * The Security Scheme Object that a part of the configuration means.
 *
 * @param key of that part
 * @throws what `SectionKit.mistake` returns, for what the type needs and is not there
 */
export function securityScheme(
  key: string,
  scheme: OpenapiSecurityConfig,
  { mistake }: Pick<SectionKit, "mistake">,
): JsonObject {
  for (const [name, member] of needed[scheme.type] ?? []) {
    if (scheme[name] === undefined) throw mistake(key, `needs ${member}, as its type is ${scheme.type}`);
  }
  const { type, scheme: word, bearerFormat, name, in: place, openIdConnectUrl, flows, description } = scheme;
  return given({
    ...{ type, scheme: word, bearerFormat, name, in: place, openIdConnectUrl, description },
    flows:
      flows &&
      given({
        authorizationCode: flowOf(flows.authorizationCode),
        clientCredentials: flowOf(flows.clientCredentials),
        password: flowOf(flows.password),
        implicit: flowOf(flows.implicit),
      }),
  });
}

function flowOf(flow: OpenapiFlowConfig | undefined): JsonObject | undefined {
  if (flow === undefined) return undefined;
  const { authorizationUrl, tokenUrl, refreshUrl, scopes } = flow;
  return given({ authorizationUrl, tokenUrl, refreshUrl, scopes });
}
