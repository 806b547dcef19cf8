import { readFileSync } from "node:fs";
import {
  checkedListFlag,
  choiceFlag,
  countFlag,
  filesFlag,
  hostFlag,
  optionalPortFlag,
  portFlag,
  portOrOffFlag,
  switchFlag,
} from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { http3 } from "../http3/http3-door.ts";
import { openOrigin, whyNoCorsOrigin, whyOriginsAreListed } from "../http/browsers/cors.ts";
import { altSvcFlag } from "./alt-svc-flag.ts";
import { limitFlagOptions, limitFlags } from "./limit-flags.ts";
import { whyUnforwardable } from "../http/request-metadata.ts";
import { httpServerDefaults, type HttpServerOptions } from "../http-server-options.ts";
import { webSocketFlagOptions, webSocketFlags } from "../doors/websocket/websocket-flags.ts";

/** Flags of a gateway. */
export const httpFlags = {
  httpHost: hostFlag(httpServerDefaults.host, "--http-port", "Address to serve HTTP on"),
  httpPort: portFlag(httpServerDefaults.port, "Port to serve HTTP on; 0 picks a free one"),
  forwardHeader: checkedListFlag("NAME", "A further request header to forward as metadata", whyUnforwardable),
  unknownQuery: choiceFlag(["ignore", "reject"], "ignore", "What to do with unknown query parameters"),
  unknownFields: choiceFlag(["ignore", "reject"], "ignore", "What to do with unknown JSON fields"),
  unknownEnums: choiceFlag(
    ["reject", "ignore"],
    "reject",
    "What to do with unknown names of enum values; ignore applies where unknown fields or parameters are ignored",
  ),
  maxJsonEntries: countFlag(
    httpServerDefaults.maxJsonEntries,
    "Most entries of maps and members of free-form objects in a JSON body; 0 for any number",
  ),
  lenientContentType: switchFlag("Read bodies as JSON whatever their content type"),
  rules: filesFlag("HTTP rules outside the contracts, google.api.Service as YAML or JSON"),
  errorFormat: choiceFlag(
    ["status", "google", "problem"],
    "status",
    "Format of error bodies: google.rpc.Status, errors of Google's APIs, or RFC 9457 problem details",
  ),
  corsOrigin: checkedListFlag(
    "ORIGIN",
    "An origin that CORS allows, such as https://app.example.com; * for any",
    whyNoCorsOrigin,
  ),
  corsCredentials: switchFlag(
    "Allow CORS requests with credentials: cookies, client certificates; not with *",
  ),
  compression: switchFlag("Compress responses for clients that accept it: zstd, br, gzip"),
  etag: switchFlag("Send an ETag of the content with responses to GET"),
  altSvc: altSvcFlag,
  http3Port: portOrOffFlag(
    "off",
    "UDP port to serve HTTP/3 on; needs TLS and the package @currentspace/http3",
  ),
  ...limitFlags,
  ...webSocketFlags,
} as const;

/** Flags of a gateway that serves gRPC too. */
export const onePortFlags = {
  port: {
    ...optionalPortFlag("One port to serve every protocol on, gRPC too, instead of two; 0 picks a free one"),
    excludes: ["grpcPort", "grpcHost", "httpPort"],
  },
} as const;

/**
 * The options of an `HttpServer` that the flags ask for.
 *
 * @throws SetupError naming flags that contradict each other
 */
export function httpOptions(flags: FlagValues<typeof httpFlags>): Partial<HttpServerOptions> {
  const open = openOrigin(flags.corsOrigin);
  if (flags.corsCredentials && open !== undefined) {
    throw new FlagError(`--cors-credentials with --cors-origin ${open} ${whyOriginsAreListed}`);
  }
  return {
    host: flags.httpHost,
    port: flags.httpPort,
    forwardHeaders: flags.forwardHeader,
    unknownQuery: flags.unknownQuery,
    unknownFields: flags.unknownFields,
    unknownEnums: flags.unknownEnums,
    maxJsonEntries: flags.maxJsonEntries,
    contentType: flags.lenientContentType ? "lenient" : "strict",
    rules: flags.rules.map((file) => ({ file, text: readFileSync(file, "utf8") })),
    errorFormat: flags.errorFormat,
    corsOrigins: flags.corsOrigin,
    corsCredentials: flags.corsCredentials,
    compression: flags.compression,
    etag: flags.etag,
    altSvc: flags.altSvc,
    http3: flags.http3Port === "off" ? undefined : http3({ port: flags.http3Port }),
    ...limitFlagOptions(flags),
    ...webSocketFlagOptions(flags),
  };
}
