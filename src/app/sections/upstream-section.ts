import { dial, type DialedTransport } from "../../core/dial.ts";
import type { ClientTls } from "../../core/net/client-tls.ts";
import { formatAddress } from "../../core/net/listener.ts";
import type { SchemaSource, Schema } from "../../core/schema/schema.ts";
import type { AppServer } from "../app-server.ts";
import { readClientTls } from "./client-tls-of.ts";
import { policyInits } from "./policy-inits.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { hasContracts } from "./upstream-use.ts";

/** The gRPC server behind the HTTP server, and the contracts that are served of it. */
export function open(kit: SectionKit): SectionParts {
  const { config, logger } = kit;
  let transport = dialUpstream(kit);
  checkContracts(kit);
  const servers = new Set<Pick<AppServer, "replaceServices">>();
  let ended = new AbortController();
  let schema: Schema | undefined;
  const apply = (next: Schema): void => {
    schema = next;
    for (const warning of next.warnings ?? []) logger.warn(warning);
    for (const server of servers) server.replaceServices?.(next.services, next.registry);
  };
  return {
    get http() {
      return { upstream: transport, awaitServices: hasContracts(config) };
    },
    equip(server) {
      if (server.replaceServices === undefined) return;
      servers.add(server);
      server.onStateChange?.((state) => {
        if (state === "stop") servers.delete(server);
      });
      if (schema !== undefined) server.replaceServices(schema.services, schema.registry);
    },
    async start() {
      if (ended.signal.aborted) {
        ended = new AbortController();
        transport = dialUpstream(kit);
      }
      const source = await contractsOf(kit, transport);
      if (source === undefined) return;
      if (config.gateway?.reflection !== true) {
        apply(await source.load(ended.signal));
        return;
      }
      const { keepLoaded } = await import("../../core/schema/schema-loader.ts");
      const onFailure = (err: unknown, retryMs: number): void => {
        logger.warn(
          { reason: err instanceof Error ? err.message : String(err), retryMs },
          "no contracts yet",
        );
      };
      void keepLoaded({ source, upstream: transport, apply, onFailure, signal: ended.signal });
    },
    stop() {
      ended.abort();
      transport.close();
    },
    prepare({ changed }) {
      const [key] = changed.filter((one) => one.startsWith("policies"));
      if (key === undefined) return () => {};
      throw kit.mistake(
        key,
        "a restart alone takes it, with the single upstream: give that a name in upstreams",
      );
    },
  };
}

/** @throws SetupError naming the key that cannot be used */
function dialUpstream({ config, mistake, isSet }: SectionKit): DialedTransport {
  const {
    host = "127.0.0.1",
    port = 42001,
    tls = false,
    ca,
    cert,
    key,
    authority,
    balance,
    health,
  } = config.upstream ?? {};
  const material = readClientTls({ ca, cert, key }, "upstream", mistake);
  const policies = policyInits(config.policies, "policies", mistake);
  const secure: ClientTls = {
    ...material,
    ...(authority === undefined ? {} : { serverName: authority.replace(/:\d+$/, "") }),
  };
  return dial(formatAddress({ host, port }), {
    tls: (tls || Object.keys(material).length > 0) && secure,
    authority,
    maxMessageBytes: config.grpc.maxSendMsgSize,
    ...(isSet("upstream.balance") ? { balance: balance as "p2c" } : {}), // The loader has checked the word.
    ...(policies.length === 0 ? {} : { policies }),
    ...(health === true ? { health: true } : {}),
  });
}

/** Where the contracts come from; undefined where the program adds its services itself. */
async function contractsOf(
  { config }: SectionKit,
  transport: DialedTransport,
): Promise<SchemaSource | undefined> {
  const { descriptors = [], proto = [], protoPath = [], services = [] } = config.gateway ?? {};
  if (!hasContracts(config)) return undefined;
  const { descriptorSetSource, protoSource } = await import("../../core/schema/schema.ts");
  if (descriptors.length > 0) return descriptorSetSource(descriptors, services);
  if (proto.length > 0) return protoSource(proto, protoPath, services);
  const { reflectionSource } = await import("../../core/schema/reflection-source.ts");
  return reflectionSource(transport, services);
}

function checkContracts({ config, mistake }: SectionKit): void {
  const { descriptors = [], proto = [], reflection = false } = config.gateway ?? {};
  const ways = [descriptors.length > 0, proto.length > 0, reflection].filter(Boolean).length;
  if (ways > 1) throw mistake("gateway", "takes one of descriptors, proto and reflection");
}
