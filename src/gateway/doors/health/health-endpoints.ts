import { create } from "@bufbuild/protobuf";
import { createContextValues } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckResponse,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import type { Invoker } from "../../../core/call/invoker.ts";
import { CallContext } from "../../../core/call/context.ts";
import { callOrigin } from "../../../core/call/call-origin.ts";
import { Code, toCallError } from "../../../core/errors/errors.ts";
import { pathOf, queryOf } from "../../../core/net/request-target.ts";
import { asIs, type ErrorWriter } from "../../http/error-writer.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { parseQuery } from "../../http/query.ts";

/** The paths of the health endpoints; no rule may have them while they are served. */
export const healthPaths = ["/healthz", "/livez", "/readyz"] as const;

/** What health endpoints know of the server. */
export interface HealthOptions {
  /** Asked whether the upstream serves. */
  readonly invoker: Invoker;
  readonly errors: ErrorWriter;
  /** Whether there are routes and the server does not drain. */
  readonly isReady: () => boolean;
  /** How long the upstream may take to answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** What an endpoint says, as `{"status": …}`. */
type Verdict = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

const statusOf: Readonly<Record<Verdict, number>> = { SERVING: 200, NOT_SERVING: 503, SERVICE_UNKNOWN: 404 };

/**
 * Answers `/livez` (the process lives), `/readyz` and `/healthz` (routes are loaded, the server does not drain, the
 * upstream is SERVING by `grpc.health.v1`), the last two also for one service: `?service=package.Service`. An upstream
 * that answers but has no health service counts as serving. Statuses: 200, 503, 404 for an unknown service.
 */
export class HealthEndpoints {
  readonly #options: HealthOptions;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Answers a request whose raw target is one of `healthPaths`; false for all other targets. */
  answer(target: string, request: FastifyRequest, reply: FastifyReply): boolean {
    const path = pathOf(target);
    if (!isHealthPath(path)) return false;
    if (request.method === "GET" || request.method === "HEAD") {
      this.#check(path, queryOf(target, path))
        .then((verdict) => send(reply, verdict))
        .catch(() => reply.raw.destroy()); // A header of somebody's hook that cannot be written.
    } else {
      answerOtherMethod(["GET", "HEAD", "OPTIONS"], request, reply, this.#options.errors);
    }
    return true;
  }

  async #check(path: string, query: string): Promise<Verdict> {
    if (path === "/livez") return "SERVING";
    if (!this.#options.isReady()) return "NOT_SERVING";
    const { invoker, timeoutMs } = this.#options;
    const context = new CallContext({
      method: Health.method.check,
      protocolName: "rest",
      requestHeader: () => new Headers(),
      timeoutMs,
      values: createContextValues().set(callOrigin, { protocol: "rest", observed: true }),
    });
    try {
      const service = parseQuery(query).find(({ name }) => name === "service")?.value ?? "";
      const request = create(HealthCheckRequestSchema, { service });
      const reply = await invoker.unary(Health.method.check, request, context);
      const { status } = reply as HealthCheckResponse; // The output of the method that was called.
      if (status === ServingStatus.SERVING) return "SERVING";
      return status === ServingStatus.SERVICE_UNKNOWN ? "SERVICE_UNKNOWN" : "NOT_SERVING";
    } catch (reason) {
      const { code } = toCallError(reason);
      if (code === Code.Unimplemented) return "SERVING";
      return code === Code.NotFound ? "SERVICE_UNKNOWN" : "NOT_SERVING";
    } finally {
      context.end();
    }
  }
}

/** Whether a path is one of `healthPaths`. */
export function isHealthPath(path: string): boolean {
  return path === "/healthz" || path === "/livez" || path === "/readyz";
}

function send(reply: FastifyReply, verdict: Verdict): void {
  if (reply.raw.destroyed) return;
  void reply
    .code(statusOf[verdict])
    .header("content-type", "application/json")
    .header("cache-control", "no-store")
    .serializer(asIs)
    .send(JSON.stringify({ status: verdict }));
}
