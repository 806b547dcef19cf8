import type { DescMethod } from "@bufbuild/protobuf";
import type { Route } from "../../core/http-rule/route.ts";

/** The options that decide on features. */
interface FeatureOptions {
  readonly tls: object | undefined;
  readonly webSockets: boolean;
  readonly maxPolledStreams: number;
  readonly corsOrigins: readonly string[];
  readonly compression: boolean;
  readonly healthPaths: boolean;
  readonly interceptors: readonly unknown[];
  readonly upstream: unknown;
}

/** What decides on the features of an `HttpServer`. */
interface FeatureSource {
  readonly options: FeatureOptions;
  readonly routes: readonly Route[];
  /** Whether requests pass through hooks or plugins of Fastify. */
  readonly hasHooks: boolean;
}

const bodyType = "google.api.HttpBody";

/** What an `HttpServer` offers, in the words of `Feature` of `ts-ms/app`: what is on and of use to its routes. */
export function serverFeatures({ options, routes, hasHooks }: FeatureSource): string[] {
  const methods = routes.map(({ method }) => method);
  const streams = methods.some(({ methodKind }) => methodKind !== "unary");
  const streamsReplies = methods.some(repliesInParts);
  const features: Readonly<Record<string, boolean>> = {
    http: options.tls === undefined,
    https: options.tls !== undefined,
    websocket: options.webSockets && streams,
    server_sent_events: streamsReplies,
    long_polling: streamsReplies && options.maxPolledStreams > 0,
    cors: options.corsOrigins.length > 0,
    compression: options.compression,
    load_balancing: isCluster(options.upstream),
    health_checks: options.healthPaths,
    middleware: options.interceptors.length > 0 || hasHooks,
    headers: routes.length > 0,
    query_params: routes.some(({ bodyField, method }) => bodyField !== "*" && method.input.fields.length > 0),
    path_params: routes.some(({ variables }) => variables.length > 0),
    body_parsing: routes.some(({ bodyField }) => bodyField !== undefined),
    file_upload: methods.some(({ input }) => input.typeName === bodyType),
    streaming: streams,
    real_time: streamsReplies,
    unicasting: streamsReplies,
  };
  return Object.keys(features).filter((name) => features[name] === true);
}

function repliesInParts({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}

/** Whether calls are divided among several servers, or may be. */
function isCluster(upstream: unknown): boolean {
  if (typeof upstream === "string") return /^[a-z]+:\/\//.test(upstream);
  return (
    Array.isArray(upstream) || (typeof upstream === "object" && upstream !== null && "onChange" in upstream)
  );
}
