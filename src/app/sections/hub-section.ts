import type { AnyService } from "../../core/call/service.ts";
import { logBus } from "../bus-log.ts";
import { bearersOf } from "../hub-token.ts";
import { explained } from "./explained.ts";
import { hubBusOf } from "./bus-of.ts";
import { hubOf, makeBusPlace } from "./hub-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The hub of all servers. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  kit.shared(makeBusPlace).bus = await hubBusOf(kit);
  const hub = hubOf(kit);
  const { logger, metrics, config } = kit;
  let unwatch = (): void => {};
  const unlog = logBus(hub, logger);
  return {
    hub,
    services: adminOf(kit),
    grpc: { hub },
    http: { hub },
    start() {
      unwatch = hub.watch(metrics);
      const unknown = Object.keys(config.hub?.topics ?? {}).filter((name) => !hub.hasTopic(name));
      for (const name of unknown) logger.warn(`hub.topics.${name}: there is no such topic yet`);
    },
    stop() {
      unwatch();
      unlog();
    },
  };
}

/** The admin service for bearers of a token; none without. @throws what `SectionKit.mistake` returns */
function adminOf(kit: SectionKit): readonly AnyService[] {
  const { hub: section, auth, session, access } = kit.config;
  const file = section?.adminTokenFile;
  if (file === undefined) return [];
  const key = "hub.admin_token_file";
  if ([auth, session, access].some((guard) => guard !== undefined)) {
    throw kit.mistake(
      key,
      "callers are known by auth, session or access: admin.port has the service for the role admin",
    );
  }
  return [hubOf(kit).admin({ allow: explained(kit, key, () => bearersOf(file)) })];
}
