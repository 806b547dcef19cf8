import { create } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthCheckResponse,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { exemptFromGates } from "../../../core/admission/admitted.ts";
import { Code, toCallError } from "../../../core/errors/errors.ts";
import type { HttpExchange, RequestHead } from "../../http/exchange.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { parseQuery } from "../../http/query.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import type { MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import { type CallKind, newCall } from "../open-call.ts";

/** The paths of the health door; HTTP rules cannot use them while they are served. */
export const healthPaths = ["/healthz", "/livez", "/readyz"] as const;

/** The calls of `grpc.health.v1`; how long one may take is an option of its own. */
const checks: CallKind = {
  method: Health.method.check,
  protocolName: "rest",
  limits: { defaultTimeoutMs: 0, maxTimeoutMs: 0 },
  admit: undefined,
  observers: [],
  reports: undefined,
  countsBytes: false,
};

/** The result of a check, sent as `{"status": …}`. */
type CheckStatus = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

const statusOf: Readonly<Record<CheckStatus, number>> = {
  SERVING: 200,
  NOT_SERVING: 503,
  SERVICE_UNKNOWN: 404,
};

/**
 * Answers `/livez` (the process is alive), `/readyz` and `/healthz` (routes are loaded, the server does not drain, the
 * upstream is SERVING by `grpc.health.v1`), the last two also for one service: `?service=package.Service`, or without a
 * question to the upstream: `?scope=process`. An upstream that answers but has no health service counts as serving.
 * Statuses: 200, 503, 404 for an unknown service.
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
  const status = await check(path, url.slice(path.length + 1), kit);
  if (exchange.destroyed) return;
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  try {
    exchange.respond(statusOf[status], headers, JSON.stringify({ status }));
  } catch {
    exchange.destroy(); // A hook has set an invalid header.
  }
}

async function check(path: string, query: string, kit: DoorKit): Promise<CheckStatus> {
  if (path === "/livez") return "SERVING";
  if (!kit.isReady()) return "NOT_SERVING";
  const { healthInvoker, health } = kit;
  const request = {
    peer: undefined,
    method: "GET",
    url: undefined,
    arrivedAt: undefined,
    requestId: undefined,
  };
  const context = newCall(checks, request, health.healthTimeoutMs, () => new Headers());
  exemptFromGates(context); // It asks for itself, not for the client of the path.
  try {
    const fields = parseQuery(query);
    const valueOf = (wanted: string) => fields.find(({ name }) => name === wanted)?.value ?? "";
    if (valueOf("scope") === "process") return "SERVING";
    const message = create(HealthCheckRequestSchema, { service: valueOf("service") });
    const reply = await healthInvoker.unary(Health.method.check, message, context);
    const { status } = reply as HealthCheckResponse; // The output type of `check`.
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
