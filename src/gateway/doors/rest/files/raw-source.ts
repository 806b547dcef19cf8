import type { DescField, Message } from "@bufbuild/protobuf";
import { messageFactory } from "../../../../core/codec/field-shape.ts";
import { compileBinder } from "../../../binding/bind.ts";
import { messageAt } from "../../../binding/field-path.ts";
import type { FormCheck } from "../../../http/browsers/form-check.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import type { RequestSource } from "../bodies/request-source.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { UploadedMessages } from "../bodies/uploaded-messages.ts";
import { asHttpBody } from "../../../binding/http-body.ts";
import { pieceDelayMs, pieces } from "./pieces.ts";
import type { DoorKit } from "../../door-kit.ts";
import { checkRawBodyOptions } from "../../options/raw-options.ts";

/**
 * Compiles the messages of requests whose body is raw: `google.api.HttpBody` with the received bytes, decoded by their
 * `Content-Encoding`, and the `Content-Type` as received.
 *
 * Rpcs with one request message get the whole body. Rpcs with a request stream get it in messages of
 * `uploadChunkBytes`, or less after `pieceDelayMs`: path, query and content type are in the first message, the others
 * contain only data.
 *
 * @throws SetupError for an invalid `uploadChunkBytes`
 */
export function compileRawSource(route: Route, kit: DoorKit): RequestSource {
  const { bodies, streams, files } = kit;
  const { forms } = kit.browsers;
  const { methodKind } = route.method;
  checkRawBodyOptions(files);
  const { first, next } = compileRawBinder(route, kit);
  if (methodKind === "unary" || methodKind === "server_streaming") {
    return async (call, exchange) => {
      checkForm(exchange, forms);
      const data = hasBody(exchange.head) ? await bodies.read(exchange) : undefined;
      return new UploadedMessages([first(call, typeOf(exchange), data)]);
    };
  }
  const delayMs = pieceDelayMs(route.method);
  return async (call, exchange) => {
    checkForm(exchange, forms);
    if (!hasBody(exchange.head)) return new UploadedMessages([first(call, typeOf(exchange), undefined)]);
    const chunks = bodyChunks(exchange, streams.bodyIdleMs);
    return new UploadedMessages(
      (async function* () {
        let isFirst = true;
        for await (const data of pieces(chunks, files.uploadChunkBytes, delayMs)) {
          yield isFirst ? first(call, typeOf(exchange), data) : next(data);
          isFirst = false;
        }
        if (isFirst) yield first(call, typeOf(exchange), empty);
      })(),
    );
  };
}

/** @throws HttpError 403 as `FormCheck` */
function checkForm({ head }: HttpExchange, forms: FormCheck): void {
  const problem = hasBody(head) ? forms.problem(head) : undefined;
  if (problem !== undefined) throw problem;
}

const empty = Buffer.alloc(0);

function typeOf({ head }: HttpExchange): string | undefined {
  return head.headers["content-type"];
}

/** Creates the messages of a raw body. */
export interface RawBinder {
  /** The first message, with path and query; its body stays unset if there is neither data nor a type. */
  readonly first: (call: RouteCall, contentType: string | undefined, data: Buffer | undefined) => Message;
  readonly next: (data: Buffer) => Message;
}

/** Compiles the messages of the raw bodies of a route. */
export function compileRawBinder(
  { method, bodyField, ...rest }: Route,
  { binding }: Pick<DoorKit, "binding">,
): RawBinder {
  const binder = compileBinder({ method, bodyField, ...rest }, binding);
  const create = messageFactory(method.input);
  const path: readonly DescField[] = bodyField === undefined || bodyField === "*" ? [] : bodyField;
  return {
    first(call, contentType, data) {
      const message = create();
      if (contentType !== undefined || data !== undefined) {
        const body = asHttpBody(messageAt(message, path));
        body.contentType = contentType ?? "";
        body.data = data ?? empty;
      }
      binder.complete(call, message);
      return message;
    },
    next(data) {
      const message = create();
      asHttpBody(messageAt(message, path)).data = data;
      return message;
    },
  };
}
