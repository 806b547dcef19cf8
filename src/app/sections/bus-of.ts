import type { Config } from "../../core/config/loader/config-types.ts";
import type { Bus } from "../../hub/bus/bus.ts";
import { busForms, busOf, readBus } from "../hub-buses.ts";
import type { SectionKit } from "./section.ts";

type Stores = NonNullable<Config["stores"]>;

/** The buses whose addresses are in `stores`, by their names; undefined where they are missing there. */
const busesOfStores: Readonly<Record<string, (stores: Stores | undefined) => Promise<Bus> | undefined>> = {
  redis: (stores) => {
    const redis = stores?.redis;
    return redis && redisOf(redis);
  },
  nats: (stores) => {
    const nats = stores?.nats;
    return nats && natsOf(nats);
  },
};

/** The bus of the hub; undefined for that of this process alone. @throws what `SectionKit.mistake` returns */
export async function hubBusOf({ config, mistake }: SectionKit): Promise<Bus | undefined> {
  const name = config.hub?.bus ?? "memory";
  const ofStores = busesOfStores[name];
  try {
    if (ofStores !== undefined) {
      const bus = ofStores(config.stores);
      if (bus === undefined) throw new Error(`stores.${name} is missing, which has its address`);
      return await bus;
    }
    return await busOf(readBus(name));
  } catch (reason) {
    const forms = ["memory", ...Object.keys(busesOfStores), ...busForms.slice(1)];
    const problem = reason instanceof Error ? reason.message : String(reason);
    throw mistake(
      "hub.bus",
      `${problem.replace(/^must be one of .*/, `must be one of ${forms.join(", ")}`)}`,
    );
  }
}

async function redisOf(redis: NonNullable<Stores["redis"]>): Promise<Bus> {
  const { url, username, password, ca, sentinels, master } = redis;
  const { redisBus } = await import("../../hub/bus/redis/redis-bus.ts");
  return redisBus({ url, username, password, ca, sentinels, master });
}

async function natsOf({
  servers,
  credentials,
  ca,
  storage,
  replicas,
}: NonNullable<Stores["nats"]>): Promise<Bus> {
  const { natsBus } = await import("../../hub/bus/nats/nats-bus.ts");
  const kind = storage === "file" ? "file" : "memory"; // The key takes no other.
  return natsBus({ ...(servers.length > 0 && { servers }), credentials, ca, storage: kind, replicas });
}
