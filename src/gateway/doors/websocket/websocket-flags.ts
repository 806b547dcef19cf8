import { checkedListFlag, durationFlag, sizeFlag, switchFlag } from "../../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../../core/config/flags.ts";
import { whyNoSocketOrigin } from "../../http/origin-check.ts";
import { webSocketDefaults, type WebSocketOptions } from "../options/websocket-options.ts";

/** Flags of WebSockets, a part of those of a gateway. */
export const webSocketFlags = {
  noWebsockets: switchFlag("Ignore upgrades to WebSocket"),
  websocketOrigin: checkedListFlag(
    "ORIGIN",
    "An origin, beside the server's own, whose pages may open WebSockets, such as https://app.example.com; null for pages without an origin, * for any",
    whyNoSocketOrigin,
  ),
  websocketMaxMessage: sizeFlag(
    webSocketDefaults.maxSocketMessageBytes,
    "Largest message that a WebSocket client may send",
  ),
  websocketPing: durationFlag(
    webSocketDefaults.socketHeartbeatMs,
    "Interval of pings to WebSocket clients; a client that is silent for two intervals is disconnected; 0 for no pings",
  ),
  websocketWriteIdle: durationFlag(
    webSocketDefaults.socketWriteIdleMs,
    "Disconnect a WebSocket client that reads nothing of its pending messages for this long",
  ),
  websocketCompression: switchFlag(
    "Compress WebSocket messages for clients that offer it; needs memory for each connection",
  ),
} as const;

/** The options of WebSockets that the flags ask for. */
export function webSocketFlagOptions(flags: FlagValues<typeof webSocketFlags>): Partial<WebSocketOptions> {
  return {
    webSockets: !flags.noWebsockets,
    allowedOrigins: flags.websocketOrigin,
    maxSocketMessageBytes: flags.websocketMaxMessage,
    socketHeartbeatMs: flags.websocketPing,
    socketWriteIdleMs: flags.websocketWriteIdle,
    socketCompression: flags.websocketCompression,
  };
}
