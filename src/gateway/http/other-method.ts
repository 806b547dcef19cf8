import { pathOf } from "../../core/net/request-target.ts";
import type { ErrorWriter } from "./error-writer.ts";
import type { HttpExchange } from "./exchange.ts";
import { HttpError } from "./http-error.ts";
import { grpcRefusal } from "./grpc-refusal.ts";

/** Answers a request whose path has routes for other HTTP methods only: 204 to OPTIONS, else 405, both with `Allow`. */
export function answerOtherMethod(
  allow: readonly string[],
  exchange: HttpExchange,
  errors: ErrorWriter,
): void {
  const { head } = exchange;
  const { method } = head;
  const value = allow.join(", ");
  if (method === "OPTIONS") {
    exchange.respond(204, { allow: value }, undefined);
    return;
  }
  const refusal = grpcRefusal(head);
  errors.send(
    exchange,
    refusal ??
      new HttpError(405, `${method} is not allowed for ${pathOf(head.url)}, use ${value}`, {
        headers: { allow: value },
      }),
  );
}
