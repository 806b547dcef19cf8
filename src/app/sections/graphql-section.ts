import type { GraphqlConfig } from "../../../gen/ts_ms/config/v1/websocket_pb.ts";
import { graphql } from "../../gateway/faces/graphql/graphql.ts";
import type { GraphqlOptions } from "../../gateway/faces/graphql/graphql-options.ts";
import { HttpServer } from "../../gateway/http-server.ts";
import { explained } from "./explained.ts";
import { given } from "./given.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** GraphQL of every HTTP server, or of a server with it alone where it has a port of its own. */
export function open(kit: SectionKit): SectionParts {
  const { config } = kit;
  const section = config.graphql;
  const face = explained(kit, "graphql", () => graphql(section === undefined ? {} : optionsOf(section)));
  const { host = config.http.host, port } = section ?? {};
  if (port === undefined || port === (config.app.port ?? config.http.port)) return { faces: [face] };
  return {
    servers: [
      {
        name: "graphql",
        make: (parts) => new HttpServer({ ...parts.http, host, port, only: "graphql", faces: [face] }),
        listens: { host, port, key: "graphql.port" },
      },
    ],
  };
}

function optionsOf(section: GraphqlConfig): Partial<GraphqlOptions> {
  const { path, playground, introspection, names, oneofs, maps, persisted, documentCache } = section;
  const { maxDepth, maxAliases, maxDirectives, maxRootFields, maxTokens, maxQueryBytes } = section;
  const { maxCost, listSize, maxCalls, maxBatch, maxBatchedOperations } = section;
  return {
    ...{ path, playground, introspection, maxDepth, maxAliases, maxDirectives, maxRootFields, maxTokens },
    ...{ maxCost, listSize, maxCalls, maxBatch, maxBatchedOperations },
    ...{ maxQueryBytes, batchMs: section.batchTime, initTimeoutMs: section.initTimeout },
    // The loader has checked the choices.
    names: names === "service" ? "service" : "short",
    oneofs: oneofs === "fields" ? "fields" : "union",
    maps: maps === "json" ? "json" : "entries",
    ...(documentCache !== undefined && {
      documentCache: { entries: documentCache.entries, bytes: documentCache.bytes },
    }),
    ...(persisted !== undefined && {
      persisted: { automatic: persisted.automatic, only: persisted.only, documents: persisted.file },
    }),
    ...given({
      subscriptions: section.subscriptions.map((way) => (way === "sse" ? "sse" : "websocket")),
      services: section.services,
      visibility: section.visibility,
    }),
  };
}
