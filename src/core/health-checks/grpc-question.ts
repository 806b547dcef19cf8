import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { createClient } from "../call/client.ts";
import { toTransport } from "../call/transport.ts";
import { Code, toCallError } from "../errors/errors.ts";
import { http2Invoker } from "../grpc/client/http2-invoker.ts";
import type { Answer, Question } from "./polled-check.ts";

/** Asks by `Check` of `grpc.health.v1`. @param unimplemented called when a server does not have that, which is good */
export function grpcQuestion(service: string, unimplemented: () => void): Question {
  return async (connection, signal): Promise<Answer> => {
    try {
      const client = createClient(Health, toTransport(http2Invoker(connection)));
      const { status } = await client.check({ service }, { signal });
      return status === Status.SERVING ? "serving" : "not_serving";
    } catch (reason) {
      const { code } = toCallError(reason);
      if (code === Code.NotFound) return "not_serving"; // It serves, but not this.
      if (code !== Code.Unimplemented) return "failed";
      unimplemented();
      return "serving";
    }
  };
}
