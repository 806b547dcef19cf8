import { hubOf } from "./hub-of.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The hub of all servers. */
export function open(kit: SectionKit): SectionParts {
  const hub = hubOf(kit);
  const { logger, metrics, config } = kit;
  let unwatch = (): void => {};
  return {
    hub,
    grpc: { hub },
    http: { hub },
    start() {
      unwatch = hub.watch(metrics);
      const unknown = Object.keys(config.hub?.topics ?? {}).filter((name) => !hub.hasTopic(name));
      for (const name of unknown) logger.warn(`hub.topics.${name}: there is no such topic yet`);
    },
    stop() {
      unwatch();
    },
  };
}
