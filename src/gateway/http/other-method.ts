import type { FastifyReply, FastifyRequest } from "fastify";
import { pathOf } from "../../core/net/request-target.ts";
import type { ErrorWriter } from "./error-writer.ts";
import { HttpError } from "./http-error.ts";
import { grpcRefusal } from "./grpc-refusal.ts";

/** Answers a request whose path is known for other HTTP methods: 204 to OPTIONS, else 405, both with `Allow`. */
export function answerOtherMethod(
  allow: readonly string[],
  request: FastifyRequest,
  reply: FastifyReply,
  errors: ErrorWriter,
): void {
  const value = allow.join(", ");
  if (request.method === "OPTIONS") {
    void reply.code(204).header("allow", value).send();
    return;
  }
  const refusal = grpcRefusal(request.raw);
  const path = pathOf(request.raw.url ?? "");
  errors.send(
    reply,
    refusal ??
      new HttpError(405, `${request.method} is not allowed for ${path}, use ${value}`, {
        headers: { allow: value },
      }),
  );
}
