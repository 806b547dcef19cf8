import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
  type HealthCheckRequest,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import type { CallContext } from "../../core/call/context.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { UpstreamEntry } from "./upstream-entry.ts";

/** What readiness is about. */
export interface CheckedUpstreams {
  readonly entries: Iterable<UpstreamEntry>;
  /** Whether upstreams may be missing, since their catalog has not answered yet. */
  readonly isIncomplete: boolean;
  /** The upstream that has a service. */
  ownerOf(service: string): UpstreamEntry | undefined;
}

/**
 * A check of `grpc.health.v1`. Without a service: SERVING if every required upstream has its contracts and a server that
 * can be called. Of a service: what its upstream says of it.
 *
 * @throws ConnectError NOT_FOUND for a service that no upstream has, or what the upstream answers
 */
export async function checkHealth(
  method: DescMethod & { readonly methodKind: "unary" },
  request: Message,
  context: CallContext,
  upstreams: CheckedUpstreams,
): Promise<Message> {
  const { service } = request as HealthCheckRequest; // The input type of `check`.
  if (service !== "") {
    const owner = upstreams.ownerOf(service);
    if (owner === undefined) throw new ConnectError(`no upstream has ${service}`, Code.NotFound);
    return owner.invoker.unary(method, request, context);
  }
  const required = [...upstreams.entries].filter(({ parts }) => parts.required);
  const isServing =
    !upstreams.isIncomplete &&
    required.every(({ contract }) => contract !== undefined) &&
    (await Promise.all(required.map((entry) => canBeCalled(entry, context)))).every(Boolean);
  const status = isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  return create(HealthCheckResponseSchema, { status });
}

/** Whether a server of an upstream can be called, now or within the time of the check where it connects first. */
async function canBeCalled(entry: UpstreamEntry, context: CallContext): Promise<boolean> {
  const { state } = entry;
  if (state === "ready") return true;
  if (state !== "idle" && state !== "connecting") return false;
  const given = new AbortController();
  try {
    await context.race(entry.ready(AbortSignal.any([given.signal, entry.signal])));
    return true;
  } catch {
    return false;
  } finally {
    given.abort();
  }
}
