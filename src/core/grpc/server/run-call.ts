import type { Handler } from "../../call/handler.ts";
import type { WireCall } from "./direct-call.ts";
import type { AdmittedRequest } from "./grpc-admission.ts";
import type { CallEnvironment } from "./server-call.ts";
import { ServerStreamCall } from "./server-stream-call.ts";
import { ServerUnaryCall } from "./server-unary-call.ts";

/** Runs the rpc of `request` from its headers to its status. */
export function runCall(
  environment: CallEnvironment,
  handler: Handler,
  call: WireCall,
  request: AdmittedRequest,
): void {
  call.start(
    handler.kind === "unary"
      ? new ServerUnaryCall(environment, handler, call, request)
      : new ServerStreamCall(environment, handler, call, request),
  );
}
