import type { IncomingMessage } from "node:http";
import type { DescField, Message } from "@bufbuild/protobuf";
import { messageFactory } from "../../../../core/codec/field-shape.ts";
import { compileBinder } from "../../../binding/bind.ts";
import { messageAt } from "../../../binding/field-path.ts";
import type { FormCheck } from "../../../http/browsers/form-check.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { Route } from "../../../routing/route.ts";
import { bodyChunks } from "../../../http/body-chunks.ts";
import type { RequestSource, SourceOptions } from "../bodies/request-source.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import { allowLargeBody, UploadedMessages } from "../bodies/uploaded-messages.ts";
import { asHttpBody } from "../../../binding/http-body.ts";
import { pieceDelayMs, pieces } from "./pieces.ts";
import { checkRawBodyOptions, type RawBodyOptions } from "../raw-options.ts";

/** What `compileRawSource` needs of a gateway's options. */
export interface RawSourceOptions extends SourceOptions, RawBodyOptions {
  /** Which pages may send bodies of any type. */
  readonly forms: FormCheck;
}

/**
 * Compiles the messages of requests whose body is raw: `google.api.HttpBody` with the bytes as they came, less their
 * `Content-Encoding`, and the `Content-Type` as it was sent.
 *
 * Rpcs that take one message get the body whole. Those that take a stream get it in messages of `uploadChunkBytes`, or of
 * what has come by the time that `pieceDelayMs` says: bindings and content type are in the first message, the others have data alone.
 *
 * @throws TypeError for an `uploadChunkBytes` that is none
 */
export function compileRawSource(route: Route, options: RawSourceOptions): RequestSource {
  const { bodies, bodyIdleMs, uploadChunkBytes, maxBodyBytes, forms } = options;
  const { methodKind } = route.method;
  checkRawBodyOptions(options);
  const { first, next } = compileRawBinder(route, options);
  if (methodKind === "unary" || methodKind === "server_streaming") {
    return async (call, raw) => {
      checkForm(raw, forms);
      const data = hasBody(raw) ? await bodies.read(raw) : undefined;
      return new UploadedMessages([first(call, typeOf(raw), data)]);
    };
  }
  const delayMs = pieceDelayMs(route.method);
  return async (call, raw, exchange) => {
    checkForm(raw, forms);
    if (!hasBody(raw)) return new UploadedMessages([first(call, typeOf(raw), undefined)]);
    allowLargeBody(raw, exchange, maxBodyBytes);
    const chunks = bodyChunks(raw, bodyIdleMs);
    return new UploadedMessages(
      (async function* () {
        let isFirst = true;
        for await (const data of pieces(chunks, uploadChunkBytes, delayMs)) {
          yield isFirst ? first(call, typeOf(raw), data) : next(data);
          isFirst = false;
        }
        if (isFirst) yield first(call, typeOf(raw), empty);
      })(),
    );
  };
}

/** @throws HttpError 403 as `FormCheck` */
function checkForm(raw: IncomingMessage, forms: FormCheck): void {
  const problem = hasBody(raw) ? forms.problem(raw) : undefined;
  if (problem !== undefined) throw problem;
}

const empty = Buffer.alloc(0);

function typeOf(raw: IncomingMessage): string | undefined {
  return raw.headers["content-type"];
}

/** Makes the messages around a raw body. */
export interface RawBinder {
  /** The message with the bindings; the body stays unset where there is neither data nor a type. */
  readonly first: (call: RouteCall, contentType: string | undefined, data: Buffer | undefined) => Message;
  readonly next: (data: Buffer) => Message;
}

/** Compiles the messages around the raw bodies of a route. */
export function compileRawBinder(
  { method, bodyField, ...rest }: Route,
  options: Pick<RawSourceOptions, "bind">,
): RawBinder {
  const binder = compileBinder({ method, bodyField, ...rest }, options.bind);
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
