import type { TestContext } from "node:test";
import { type Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { severalServers, type OneOfSeveral } from "../../support/several-servers.ts";

/** A server that fails all calls of the echo service while it has a mood. */
export interface MoodyServer extends OneOfSeveral {
  /** The code of its answers; undefined for good ones. */
  mood: Code | undefined;
  /** Calls that it has failed. */
  failed: number;
}

/** Starts servers whose moods a test sets. */
export async function moodyServers(
  t: TestContext,
  count: number,
  options: Partial<GrpcServerOptions> = {},
): Promise<readonly MoodyServer[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const state: { mood: Code | undefined; failed: number } = { mood: undefined, failed: 0 };
      const [server] = await severalServers(t, 1, {
        ...options,
        interceptors: [
          (next) => (request) => {
            if (state.mood === undefined || request.service.typeName !== EchoService.typeName)
              return next(request);
            state.failed++;
            throw new ConnectError("a mood", state.mood);
          },
        ],
      });
      if (server === undefined) throw new Error("no server");
      return Object.assign(state, server);
    }),
  );
}
