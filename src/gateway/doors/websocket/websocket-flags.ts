import { checkedListFlag, durationFlag, sizeFlag, switchFlag } from "../../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../../core/config/flags.ts";
import { whyNoSocketOrigin } from "../../http/origin-check.ts";
import { webSocketDefaults, type WebSocketOptions } from "./websocket-options.ts";

/** Flags of WebSockets, a part of those of a gateway. */
export const webSocketFlags = {
  noWebsockets: switchFlag("Ignore upgrades to WebSocket"),
  websocketOrigin: checkedListFlag(
    "ORIGIN",
    "An origin beside the server's own whose pages may open WebSockets, such as https://app.example.com; null for pages without one, * for any",
    whyNoSocketOrigin,
  ),
  websocketMaxMessage: sizeFlag(
    webSocketDefaults.maxSocketMessageBytes,
    "The largest message that a WebSocket client may send",
  ),
  websocketPing: durationFlag(
    webSocketDefaults.socketHeartbeatMs,
    "How often WebSocket clients get a ping; one that is silent for two of them is cut off; 0 for never",
  ),
  websocketWriteIdle: durationFlag(
    webSocketDefaults.socketWriteIdleMs,
    "How long a WebSocket client may take nothing of what waits for it",
  ),
  websocketCompression: switchFlag("Compress WebSocket messages where clients want it: more memory for each"),
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
