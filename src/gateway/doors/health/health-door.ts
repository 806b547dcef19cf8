import { create } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckResponse,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { CallContext } from "../../../core/call/context.ts";
import { Code, toCallError } from "../../../core/errors/errors.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { parseQuery } from "../../http/query.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";

/** The paths of the health door; no rule may have them while they are served. */
export const healthPaths = ["/healthz", "/livez", "/readyz"] as const;

/** What an endpoint says, as `{"status": …}`. */
type Verdict = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

const statusOf: Readonly<Record<Verdict, number>> = { SERVING: 200, NOT_SERVING: 503, SERVICE_UNKNOWN: 404 };

/**
 * Answers `/livez` (the process lives), `/readyz` and `/healthz` (routes are loaded, the server does not drain, the
 * upstream is SERVING by `grpc.health.v1`), the last two also for one service: `?service=package.Service`. An upstream
 * that answers but has no health service counts as serving. Statuses: 200, 503, 404 for an unknown service.
 */
export const healthDoor: MakeDoor = (kit) => ({
  name: "health",
  needsNoRpcs: true,
  claims: ({ url }) => kit.health.healthPaths && isHealthPath(pathOf(url)),
  serve: () => {
    const check = (exchange: HttpExchange): void => void answer(exchange.head.url, exchange, kit);
    const handle = (exchange: HttpExchange): boolean => {
      if (isCheck(exchange.head)) check(exchange);
      else answerOtherMethod(["GET", "HEAD", "OPTIONS"], exchange, kit.errors);
      return true;
    };
    return Object.assign(handle, {
      choose: (head: RequestHead) => (isCheck(head) ? check : undefined),
    });
  },
});

function isCheck({ method }: RequestHead): boolean {
  return method === "GET" || method === "HEAD";
}

async function answer(url: string, exchange: HttpExchange, kit: DoorKit): Promise<void> {
  const path = pathOf(url);
  const verdict = await check(path, url.slice(path.length + 1), kit);
  if (exchange.destroyed) return;
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  try {
    exchange.respond(statusOf[verdict], headers, JSON.stringify({ status: verdict }));
  } catch {
    exchange.destroy(); // A header of a hook cannot be written.
  }
}

async function check(path: string, query: string, kit: DoorKit): Promise<Verdict> {
  if (path === "/livez") return "SERVING";
  if (!kit.isReady()) return "NOT_SERVING";
  const { healthInvoker, health } = kit;
  const context = new CallContext({
    method: Health.method.check,
    protocolName: "rest",
    requestHeader: () => new Headers(),
    timeoutMs: health.healthTimeoutMs,
  });
  try {
    const service = parseQuery(query).find(({ name }) => name === "service")?.value ?? "";
    const request = create(HealthCheckRequestSchema, { service });
    const reply = await healthInvoker.unary(Health.method.check, request, context);
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

function isHealthPath(path: string): boolean {
  return path === "/healthz" || path === "/livez" || path === "/readyz";
}
