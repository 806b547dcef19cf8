import { compileFormSource, type FormSourceOptions, takesForm } from "./multipart/form-source.ts";
import { isForm } from "./multipart/form-parts.ts";
import { takesRawBody } from "./raw-body/http-body.ts";
import { compileRawSource, type RawSourceOptions } from "./raw-body/raw-source.ts";
import type { Route } from "./routing/route.ts";
import type { MessageBinder } from "./streaming/message-binder.ts";
import { compileSource, type RequestSource } from "./streaming/request-source.ts";

/** What `compileBodySource` needs of a gateway's options. */
export interface BodySourceOptions extends RawSourceOptions, FormSourceOptions {}

/**
 * Compiles where the messages of a route's requests come from, by what their bodies are: raw bytes where the contract
 * says so; forms and JSON, or what stands for it, otherwise.
 */
export function compileBodySource(
  route: Route,
  binder: MessageBinder,
  options: BodySourceOptions,
): RequestSource {
  if (takesRawBody(route)) return compileRawSource(route, options);
  const json = compileSource(route, binder, options);
  if (!takesForm(route)) return json;
  const form = compileFormSource(route, options);
  return (call, raw, exchange) =>
    isForm(raw.headers["content-type"]) ? form(call, raw, exchange) : json(call, raw, exchange);
}
