import type { HttpExchange, RequestHead } from "../../../http/exchange.ts";
import { HttpError } from "../../../http/http-error.ts";
import { binaryReplyType, bodyFormat, type BodyFormat } from "../../../http/media-type.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import type { DoorKit } from "../../door-kit.ts";

/** The body of a request, which is still being read. */
export interface Body {
  readonly bytes: Promise<Buffer> | undefined;
  readonly format: BodyFormat;
}

/** A request without a body. */
export const noBody: Body = Object.freeze({ bytes: undefined, format: "json" });

/** Compiles the reader of whole bodies of a route; undefined if bodies are not read. */
export function bodyReader(
  route: Route,
  { binding, bodies, lenientContentType }: DoorKit,
): ((exchange: HttpExchange) => Body) | undefined {
  // A body that the rule does not bind is not read, unless it is to be refused.
  if (route.bodyField === undefined && binding.unexpectedBody !== "reject") return undefined;
  return (exchange) => {
    const { headers } = exchange.head;
    const contentType = headers["content-type"];
    const format = bodyFormat(contentType) ?? (lenientContentType ? "json" : undefined);
    if (format !== undefined) return { bytes: bodies.read(exchange), format };
    // A chunked body may be empty, and then it needs no type.
    if (headers["transfer-encoding"] === undefined) throw unsupported(contentType);
    const bytes = bodies.read(exchange, 0).catch((reason: unknown) => {
      throw reason instanceof HttpError && reason.status === 413 ? unsupported(contentType) : reason;
    });
    return { bytes, format: "json" };
  };
}

function unsupported(contentType: string | undefined): HttpError {
  const found = contentType === undefined ? "no content type" : `content type ${JSON.stringify(contentType)}`;
  return new HttpError(
    415,
    `the request has a body with ${found}: send application/json (UTF-8) or application/proto`,
    {
      headers: { accept: "application/json, application/proto" },
    },
  );
}

/** The binary media type of a reply; undefined for JSON. @param format that of the request's body */
export function replyTypeOf(headers: RequestHead["headers"], format: BodyFormat): string | undefined {
  const own = format === "binary" ? headers["content-type"]?.split(";", 1)[0] : undefined;
  return binaryReplyType(headers.accept, own?.trim().toLowerCase());
}
