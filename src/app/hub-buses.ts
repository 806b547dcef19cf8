import { SetupError } from "../core/errors/setup-error.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import type { Bus } from "../hub/bus/bus.ts";

/** Makes the bus of a URL; its room is loaded by that. @throws SetupError */
type BusOfUrl = (url: string) => Promise<Bus>;

/** The buses that URLs name, by their schemes. */
const busesOfUrls: Readonly<Record<string, BusOfUrl>> = {
  redis: redisOf,
  rediss: redisOf,
  nats: async (url) => {
    const { natsBus } = await import("../hub/bus/nats/nats-bus.ts");
    return natsBus({ servers: [url] });
  },
};

async function redisOf(url: string): Promise<Bus> {
  const { redisBus } = await import("../hub/bus/redis/redis-bus.ts");
  return redisBus({ url });
}

/** What `--hub-bus` takes. */
export const busForms: readonly string[] = [
  "memory",
  "worker",
  ...Object.keys(busesOfUrls).map((scheme) => `${scheme}://…`),
];

/** Checks the text of a bus. @throws Error for one that there is not */
export function readBus(text: string): string {
  const [scheme = ""] = text.split("://");
  if (text === "memory" || text === "worker" || (busesOfUrls[scheme] !== undefined && URL.canParse(text)))
    return text;
  throw new Error(`must be one of ${busForms.join(", ")}`);
}

/** The bus of a text that `readBus` takes; undefined for that of this process alone. @throws SetupError */
export async function busOf(text: string | undefined): Promise<Bus | undefined> {
  if (text === undefined) return undefined;
  if (text === "memory") {
    if (workerId() === undefined) return undefined;
    throw new SetupError("memory is one process, and this program has several workers: worker joins them");
  }
  if (text === "worker") {
    const { workerBus } = await import("../hub/bus/workers/worker-bus.ts");
    return workerBus();
  }
  const make = busesOfUrls[text.split("://")[0] ?? ""];
  if (make === undefined) throw new SetupError(`there is no bus ${text}: ${busForms.join(", ")}`);
  return make(text);
}
