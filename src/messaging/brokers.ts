import { checkOptions, show } from "../core/config/check-options.ts";
import { nearestName } from "../core/errors/nearest-name.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Broker } from "./broker.ts";

/** What is said of any broker. */
export interface OpenBrokerOptions {
  /** Names the broker in logs, metrics and errors, and our connections there. Default: that of the broker's own options. */
  readonly name?: string;
  /** Begins the name of everything that is made there; of no use to `memory:`. Default: none. */
  readonly prefix?: string;
}

/** Makes a broker of its URL. */
type Open = (url: string, options: OpenBrokerOptions) => Promise<Broker>;

/** The brokers by the schemes of their URLs; a room is loaded when one of its URLs is opened. */
const brokers: Readonly<Record<string, Open>> = {
  memory: async (_url, { prefix: _, ...options }) =>
    (await import("./memory/memory-broker.ts")).memoryBroker(options),
  amqp: openRabbitMq,
  amqps: openRabbitMq,
  kafka: async (url, options) => (await import("./kafka/kafka.ts")).kafka({ url, ...options }),
};

async function openRabbitMq(url: string, options: OpenBrokerOptions): Promise<Broker> {
  return (await import("./rabbitmq/rabbitmq.ts")).rabbitmq({ url, ...options });
}

/**
 * Makes the broker of a URL; its scheme says which. It connects by itself, and resolves before that: what is published
 * meanwhile waits.
 *
 * @param url `memory:` for one in this process, `amqp://host` or `amqps://host` for RabbitMQ. The functions of the brokers' own entries take more options.
 * @throws SetupError for a scheme that there is not, an option that cannot be used, and a package that is missing
 */
export async function openBroker(url: string, options: OpenBrokerOptions = {}): Promise<Broker> {
  checkOptions<OpenBrokerOptions>("openBroker", options, {
    name: undefined,
    prefix: undefined,
  });
  const scheme = typeof url === "string" ? /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() : undefined;
  const known = Object.keys(brokers);
  const open = scheme === undefined ? undefined : brokers[scheme];
  if (open !== undefined) return open(url, options);
  const near = scheme === undefined ? undefined : nearestName(scheme, known);
  const hint = near === undefined ? "" : `; did you mean ${near}:?`;
  // A URL may contain a password: its scheme alone is repeated.
  const given =
    scheme === undefined ? (typeof url === "string" ? "a text without one" : show(url)) : `${scheme}:`;
  throw new SetupError(
    `openBroker: a broker's URL begins with ${known.map((name) => `${name}:`).join(", ")}, not ${given}${hint}`,
  );
}
