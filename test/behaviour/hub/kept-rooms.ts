import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { type MemoryStore, memoryBus } from "../../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { HubOptions } from "../../../src/hub/hub-options.ts";
import type { RpcTopicInit } from "../../../src/hub/topic-options.ts";

const { watchRoom, watchAllRooms, followRooms, followState } = LiveService.method;

export interface KeptInit {
  /** What nodes share. Default: a node of its own. */
  readonly store?: MemoryStore;
  readonly hub?: Partial<HubOptions>;
  readonly kept?: RpcTopicInit<typeof followRooms>;
  readonly state?: RpcTopicInit<typeof followState>;
  readonly http?: Partial<HttpServerOptions>;
}

/** A node with topics that keep what is published, behind both servers. */
export async function startKept({
  store,
  hub: options,
  kept: init,
  state: stateInit,
  http: more,
}: KeptInit = {}) {
  const hub = new Hub({ bus: memoryBus(store), joinsPerSecond: 0, maxPerUser: 0, ...options });
  const kept = hub.topic(followRooms, init);
  const state = hub.topic(followState, stateInit);
  const service = {
    descriptor: LiveService,
    watchRoom: hub.topic(watchRoom).serve,
    watchAllRooms: hub.topic(watchAllRooms).serve,
    followRooms: kept.serve,
    followState: state.serve,
  };
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(service);
  const http = new HttpServer({ port: 0, upstream: grpc, headerFlushMs: 60_000, logger: false, ...more });
  http.addService(LiveService);
  await grpc.start();
  await http.start();
  return {
    hub,
    grpc,
    http,
    kept,
    state,
    url: `http://127.0.0.1:${http.address?.port ?? 0}`,
    grpcAddress: `127.0.0.1:${grpc.address?.port ?? 0}`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      await hub.stop();
    },
  };
}
