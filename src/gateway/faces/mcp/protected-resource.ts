import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import type { GateDocument } from "../../../core/admission/gate.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { HttpExchange, RequestHead, ResponseHeaders } from "../../http/exchange.ts";
import type { McpOptions } from "./mcp-options.ts";

const wellKnown = "/.well-known/oauth-protected-resource";

/** The path of the document about the endpoint (RFC 9728, section 3.1). */
export function resourcePath(path: string): string {
  return wellKnown + path;
}

/** What the document says besides the address. */
type Parts = Pick<McpOptions, "path" | "name" | "authorizationServers" | "scopes">;

/** The document: where tokens for this server come from. @param gate what the server's authentication says of it */
export function resourceDocument(
  { path, name, authorizationServers, scopes }: Parts,
  exchange: HttpExchange,
  gate: GateDocument | undefined,
): JsonObject {
  const origin = originOf(exchange);
  const known = gate?.({ scheme: schemeOf(exchange), authority: authorityOf(exchange.head) });
  const servers: JsonValue = authorizationServers.length > 0 ? [...authorizationServers] : serversIn(known);
  return {
    resource: origin + path,
    ...(name !== undefined && { resource_name: name }),
    authorization_servers: servers,
    ...(scopes.length > 0 && { scopes_supported: [...scopes] }),
    bearer_methods_supported: ["header"],
  };
}

function serversIn(known: JsonObject | undefined): JsonValue {
  const servers = isMembers(known) ? known["authorization_servers"] : undefined;
  return Array.isArray(servers) ? servers : [];
}

/**
 * The headers of an answer without or with too few credentials: the challenge of the error, which names the document.
 *
 * @param isAnswered whether there is a document
 */
export function challengeOf(
  error: ConnectError,
  exchange: HttpExchange,
  path: string,
  isAnswered: boolean,
): ResponseHeaders {
  const own = error.metadata.get("www-authenticate") ?? "Bearer";
  if (!isAnswered) return { "www-authenticate": own };
  const parameter = `resource_metadata="${originOf(exchange)}${resourcePath(path)}"`;
  // That of the server as a whole gives way to that of the endpoint.
  const challenge = /resource_metadata="[^"]*"/.test(own)
    ? own.replace(/resource_metadata="[^"]*"/, parameter)
    : own.replace(
        /^(\w+)(?:\s+(?=\S))?/,
        (_, scheme: string) => `${scheme} ${parameter}${own.includes(" ") ? ", " : ""}`,
      );
  return { "www-authenticate": challenge };
}

function originOf(exchange: HttpExchange): string {
  return `${schemeOf(exchange)}://${authorityOf(exchange.head)}`;
}

function schemeOf({ isSecure }: HttpExchange): string {
  return isSecure ? "https" : "http";
}

function authorityOf({ headers: { ":authority": authority, host } }: RequestHead): string {
  return (typeof authority === "string" ? authority : host) ?? "";
}
