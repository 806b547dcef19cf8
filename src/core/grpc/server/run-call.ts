import type { Handler } from "../../call/handler.ts";
import type { WireCall } from "./direct-call.ts";
import type { GuardedRequest } from "./request-guard.ts";
import type { CallEnvironment } from "./server-call.ts";
import { StreamCall } from "./stream-call.ts";
import { UnaryCall } from "./unary-call.ts";

/** Runs the rpc of `request` from its headers to its status. */
export function runCall(
  environment: CallEnvironment,
  handler: Handler,
  call: WireCall,
  request: GuardedRequest,
): void {
  call.start(
    handler.kind === "unary"
      ? new UnaryCall(environment, handler, call, request)
      : new StreamCall(environment, handler, call, request),
  );
}
