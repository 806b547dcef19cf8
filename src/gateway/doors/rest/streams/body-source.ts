import { compileFormSource, takesForm } from "../forms/form-source.ts";
import { compileFileFormSource } from "../forms/file-form-source.ts";
import { isForm } from "../forms/form-parts.ts";
import { takesRawBody } from "../../../binding/http-body.ts";
import { compileRawSource } from "../files/raw-source.ts";
import type { Route } from "../../../routing/route.ts";
import type { DoorKit } from "../../door-kit.ts";
import type { MessageBinder } from "../../../binding/message-binder.ts";
import { compileSource, type RequestSource } from "../bodies/request-source.ts";

/**
 * Compiles the source of a route's request messages by the contract: raw bytes, or the file of a form in their place,
 * if the body is a `google.api.HttpBody`; otherwise JSON, binary protobuf, or forms.
 */
export function compileBodySource(route: Route, binder: MessageBinder, kit: DoorKit): RequestSource {
  if (takesRawBody(route)) {
    const raw = compileRawSource(route, kit);
    // A request that is an `HttpBody` itself contains any body as received, also a form.
    return route.bodyField === "*" ? raw : orForm(compileFileFormSource(route, kit), raw);
  }
  const json = compileSource(route, binder, kit);
  return takesForm(route) ? orForm(compileFormSource(route, kit), json) : json;
}

function orForm(form: RequestSource, other: RequestSource): RequestSource {
  return (call, exchange) =>
    isForm(exchange.head.headers["content-type"]) ? form(call, exchange) : other(call, exchange);
}
