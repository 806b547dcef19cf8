import type { Transport } from "@connectrpc/connect";
import { toTransport } from "../../call/transport.ts";
import { http2Invoker } from "../../grpc/client/http2-invoker.ts";
import { Connection } from "../../http2/http2-connection.ts";
import type { ResolverParts } from "../polling.ts";
import { AdsClient } from "./ads-client.ts";
import type { Bootstrap } from "./bootstrap.ts";

/** A client and how many targets use it. */
interface Shared {
  readonly client: AdsClient;
  readonly connection: Connection;
  users: number;
}

const clients = new Map<string, Shared>();

/** The client of a control plane, which all targets of its bootstrap share. Each `openClient` needs a `release`. */
export function openClient(
  bootstrap: Bootstrap,
  parts: ResolverParts = {},
): { client: AdsClient; release(): void } {
  const { key } = bootstrap;
  // Targets with a clock of their own are tests, which share nothing.
  const isOwn = parts.clock !== undefined || parts.random !== undefined;
  const shared = (isOwn ? undefined : clients.get(key)) ?? connect(bootstrap, parts);
  if (!isOwn) clients.set(key, shared);
  shared.users++;
  return {
    client: shared.client,
    release() {
      if (--shared.users > 0) return;
      if (clients.get(key) === shared) clients.delete(key);
      shared.client.close();
      shared.connection.close();
    },
  };
}

function connect(bootstrap: Bootstrap, parts: ResolverParts): Shared {
  const { server, tls } = bootstrap;
  // Responses hold the endpoints of large clusters.
  const connection = new Connection(() => server, { tls, background: true, maxMessageBytes: 256 << 20 });
  const transport: Transport = toTransport(http2Invoker(connection));
  return { client: new AdsClient(transport, bootstrap, parts), connection, users: 0 };
}
