import { compileFormSource, takesForm } from "../forms/form-source.ts";
import { compileFileFormSource } from "../forms/file-form-source.ts";
import { isForm } from "../forms/form-parts.ts";
import { takesRawBody } from "../../../binding/http-body.ts";
import { compileRawSource } from "../files/raw-source.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { DoorKit } from "../../door-kit.ts";
import type { MessageBinder } from "../../../binding/message-binder.ts";
import type { RequestBatch } from "../../../../core/call/batches.ts";
import {
  batchesFrom,
  compileByteSource,
  compileSource,
  type RequestSource,
} from "../bodies/request-source.ts";

/**
 * Compiles the source of a route's request messages by the contract: raw bytes, or the file of a form in their place,
 * if the body is a `google.api.HttpBody`; otherwise JSON, binary protobuf, or forms.
 */
export function compileBodySource(route: Route, binder: MessageBinder, kit: DoorKit): RequestSource {
  if (takesRawBody(route)) return rawSource(route, kit);
  const json = compileSource(route, binder, kit);
  return takesForm(route) ? orForm(compileFormSource(route, kit), json) : json;
}

/** The same in batches, and in binary form where that takes no messages. */
export function compileByteBodySource(
  route: Route,
  binder: MessageBinder,
  kit: DoorKit,
): RequestSource<RequestBatch> {
  if (takesRawBody(route)) return batchesFrom(rawSource(route, kit));
  const json = compileByteSource(route, binder, kit);
  return takesForm(route) ? orForm(batchesFrom(compileFormSource(route, kit)), json) : json;
}

function rawSource(route: Route, kit: DoorKit): RequestSource {
  const raw = compileRawSource(route, kit);
  // A request that is a body itself takes any body as it came, a form too.
  return route.bodyField === "*" ? raw : orForm(compileFileFormSource(route, kit), raw);
}

function orForm<M>(form: RequestSource<M>, other: RequestSource<M>): RequestSource<M> {
  return (call, exchange) =>
    isForm(exchange.head.headers["content-type"]) ? form(call, exchange) : other(call, exchange);
}
