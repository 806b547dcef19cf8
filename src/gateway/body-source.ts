import { takesRawBody } from "./raw-body/http-body.ts";
import { compileRawSource, type RawSourceOptions } from "./raw-body/raw-source.ts";
import type { Route } from "./routing/route.ts";
import type { MessageBinder } from "./streaming/message-binder.ts";
import { compileSource, type RequestSource } from "./streaming/request-source.ts";

/** What `compileBodySource` needs of a gateway's options. */
export type BodySourceOptions = RawSourceOptions;

/** Compiles where the messages of a route's requests come from, by what its bodies are: raw bytes, or JSON. */
export function compileBodySource(
  route: Route,
  binder: MessageBinder,
  options: BodySourceOptions,
): RequestSource {
  return takesRawBody(route) ? compileRawSource(route, options) : compileSource(route, binder, options);
}
