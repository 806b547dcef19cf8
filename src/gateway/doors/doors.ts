import { connectDoor } from "./connect/connect-door.ts";
import type { MakeDoor } from "./door.ts";
import { grpcDoor } from "./grpc/grpc-door.ts";
import { grpcWebDoor } from "./grpc-web/grpc-web-door.ts";
import { healthDoor } from "./health/health-door.ts";
import { restDoor } from "./rest/rest-door.ts";
import { webSocketDoor } from "./websocket/websocket-door.ts";

/**
 * The protocols of the gateway, in the order in which they may claim a request. REST, the last one, claims all
 * requests.
 */
export const doors: readonly MakeDoor[] = [
  healthDoor,
  webSocketDoor,
  connectDoor,
  grpcWebDoor,
  grpcDoor,
  restDoor,
];
