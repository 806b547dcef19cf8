import type { Config } from "../../core/config/loader/config-types.ts";
import { OriginCheck } from "../../gateway/http/origin-check.ts";
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
  const options = {
    webSockets: websocket.enabled,
    multiplexPath: websocket.path,
    socketHeartbeatMs: websocket.pingPeriod,
    socketPongWaitMs: websocket.pongWait,
    socketWriteIdleMs: websocket.writeWait,
    maxSocketMessageBytes: websocket.maxMessageSize,
    socketCompression: websocket.compression,
  };
  let allowedOrigins = originsOf(config);
  return {
    get http() {
      return { ...options, allowedOrigins };
    },
    prepare({ next }) {
      const after = originsOf(next);
      void new OriginCheck(after); // Throws for entries that are wrong.
      return () => {
        allowedOrigins = after;
      };
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

/** Origins whose pages may open WebSockets, beside the own one. */
function originsOf({ websocket }: Config): readonly string[] {
  return websocket.checkOrigin ? websocket.allowedOrigins : ["*"];
}
