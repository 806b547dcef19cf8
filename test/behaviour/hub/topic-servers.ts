import { setTimeout as wait } from "node:timers/promises";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { HubOptions } from "../../../src/hub/hub-options.ts";
import type { HubParts } from "../../../src/hub/hub.ts";
import type { RpcTopicInit } from "../../../src/hub/topic-options.ts";
import { within } from "../websocket/socket-client.ts";

type WatchInit = RpcTopicInit<typeof LiveService.method.watchRoom>;

/** A service whose rpcs are topics, behind both servers. */
export async function startTopics(
  options: Partial<HubOptions> = {},
  init: WatchInit = {},
  parts: HubParts = {},
) {
  const hub = new Hub(
    {
      identify: ({ requestHeader }) => ({ user: requestHeader.get("x-member") ?? "" }),
      ...options,
    },
    parts,
  );
  const room = hub.topic(LiveService.method.watchRoom, init);
  const all = hub.topic(LiveService.method.watchAllRooms);
  const service = { descriptor: LiveService, watchRoom: room.serve, watchAllRooms: all.serve };
  const grpc = new GrpcServer({ port: 0, hub, logger: false }).addService(service);
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    forwardHeaders: ["x-member"],
    headerFlushMs: 0,
    logger: false,
  });
  http.addService(LiveService);
  await grpc.start();
  await http.start();
  return {
    hub,
    room,
    all,
    grpc,
    http,
    httpPort: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

/** Resolves as soon as so many places in rooms are taken. */
export async function members(hub: Hub, count: number): Promise<void> {
  const reached = (async () => {
    while ((await hub.statistics()).members !== count) await wait(1);
  })();
  await within(reached, `${count} members`);
}
