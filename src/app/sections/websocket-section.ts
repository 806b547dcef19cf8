import { HttpServer } from "../../gateway/http-server.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** WebSockets: their options, and a server with them alone where they have a port of their own. */
export function open({ config, logger }: SectionKit): SectionParts {
  const { websocket, http } = config;
  const { host = http.host, port } = websocket;
  const hasOwnPort = websocket.enabled && port !== undefined && port !== (config.app.port ?? http.port);
  if (websocket.enabled && !websocket.checkOrigin) {
    logger.warn("the pages of any origin may open WebSockets: websocket.check_origin is false");
  }
  return {
    http: {
      webSockets: websocket.enabled,
      allowedOrigins: websocket.checkOrigin ? websocket.allowedOrigins : ["*"],
      multiplexPath: websocket.path,
      socketHeartbeatMs: websocket.pingPeriod,
      socketWriteIdleMs: websocket.writeWait,
      maxSocketMessageBytes: websocket.maxMessageSize,
      socketCompression: websocket.compression,
    },
    servers: hasOwnPort
      ? [
          {
            name: "websocket",
            make: (parts) => new HttpServer({ ...parts.http, host, port, only: "websocket" }),
            listens: { host, port, key: "websocket.port" },
          },
        ]
      : [],
  };
}
