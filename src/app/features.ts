import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { AppServer } from "./app-server.ts";

/** What a server of an app can offer. */
export const featureNames = [
  "http",
  "https",
  "websocket",
  "server_sent_events",
  "long_polling",
  "cors",
  "compression",
  "authentication",
  "rate_limiting",
  "load_balancing",
  "metrics",
  "logging",
  "health_checks",
  "middleware",
  "static_files",
  "templates",
  "sessions",
  "cookies",
  "headers",
  "query_params",
  "path_params",
  "body_parsing",
  "file_upload",
  "streaming",
  "real_time",
  "broadcasting",
  "multicasting",
  "unicasting",
] as const;

/** What a server of an app can offer. */
export type Feature = (typeof featureNames)[number];

/**
 * What a server offers, in the order of `featureNames`: what it reports itself, and what the app adds to all of them.
 */
export function featuresOf(server: AppServer, ofApp: Iterable<Feature>): readonly Feature[] {
  const found = new Set<string>(server.features ?? ofServices(server.services ?? []));
  for (const feature of ofApp) found.add(feature);
  if (server.isSecure === true) found.add("https");
  return featureNames.filter((name) => found.has(name));
}

/** What servers of other kinds offer. */
function ofServices(services: readonly DescService[]): readonly Feature[] {
  const methods = services.flatMap((service) => service.methods);
  return methods.some(isStream) ? ["streaming", "real_time", "unicasting"] : [];
}

function isStream({ methodKind }: DescMethod): boolean {
  return methodKind !== "unary";
}
