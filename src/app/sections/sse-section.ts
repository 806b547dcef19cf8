import { MostStreams } from "../../core/admission/most-streams.ts";
import { HttpServer } from "../../gateway/http-server.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** Streams of events: their options, and a server with them alone where they have a port of their own. */
export function open({ config }: SectionKit): SectionParts {
  const { sse, http } = config;
  const streamLimit = new MostStreams(sse.maxConnections);
  const { host = http.host, port } = sse;
  const hasOwnPort = sse.enabled && port !== undefined && port !== (config.app.port ?? http.port);
  return {
    http: { heartbeatMs: sse.heartbeatInterval, streamLimit },
    prepare: ({ next }) => {
      return () => {
        streamLimit.max = next.sse.maxConnections;
      };
    },
    servers: hasOwnPort
      ? [
          {
            name: "sse",
            make: (parts) => new HttpServer({ ...parts.http, host, port, only: "sse" }),
            listens: { host, port, key: "sse.port" },
          },
        ]
      : [],
  };
}
