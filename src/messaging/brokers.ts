import { checkOptions, show } from "../core/config/check-options.ts";
import { nearestName } from "../core/errors/nearest-name.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Broker, MadeBroker } from "./broker.ts";
import type { CommonBrokerOptions } from "./broker-options.ts";
import type { KafkaOptions } from "./kafka/kafka-options.ts";
import type { MemoryBrokerOptions } from "./memory/memory-options.ts";
import type { NatsBrokerOptions } from "./nats/nats-options.ts";
import type { RabbitMqOptions } from "./rabbitmq/rabbitmq-options.ts";

/**
 * What is said of a broker beside its URL. `prefix`, `tls` and `reconnect` are of no use to `memory:`; the options of one
 * kind of broker count where the URL is of that kind.
 */
export interface OpenBrokerOptions extends Partial<CommonBrokerOptions> {
  readonly memory?: Partial<Omit<MemoryBrokerOptions, "name">>;
  readonly kafka?: Partial<Omit<KafkaOptions, keyof CommonBrokerOptions | "url">>;
  readonly nats?: Partial<Omit<NatsBrokerOptions, keyof CommonBrokerOptions | "url">>;
  readonly rabbitmq?: Partial<Omit<RabbitMqOptions, keyof CommonBrokerOptions | "url">>;
}

/** Makes a broker of its URL, and does not connect. */
type Make = (
  url: string,
  common: Partial<CommonBrokerOptions>,
  options: OpenBrokerOptions,
) => Promise<MadeBroker>;

/** The brokers by the schemes of their URLs; a room is loaded when one of its URLs is opened. */
const brokers: Readonly<Record<string, Make>> = {
  async memory(_url, { name }, { memory = {} }) {
    const { memoryBroker } = await import("./memory/memory-broker.ts");
    const broker = memoryBroker({ ...(name !== undefined && { name }), ...memory });
    return { broker, start: async () => {} };
  },
  amqp: rabbitMqOf,
  amqps: rabbitMqOf,
  async kafka(url, common, { kafka = {} }) {
    return (await import("./kafka/kafka.ts")).makeKafka({ url, ...common, ...kafka });
  },
  nats: natsOf,
  tls: natsOf,
};

async function rabbitMqOf(...[url, common, { rabbitmq = {} }]: Parameters<Make>): Promise<MadeBroker> {
  return (await import("./rabbitmq/rabbitmq.ts")).makeRabbitMq({ url, ...common, ...rabbitmq });
}

async function natsOf(...[url, common, { nats = {} }]: Parameters<Make>): Promise<MadeBroker> {
  return (await import("./nats/nats.ts")).makeNats({ url, ...common, ...nats });
}

const known: Required<OpenBrokerOptions> = {
  prefix: "",
  name: undefined,
  tls: undefined,
  reconnect: {},
  memory: {},
  kafka: {},
  nats: {},
  rabbitmq: {},
};

/**
 * Makes the broker of a URL; its scheme says which. It connects by itself, and resolves before that: what is published
 * meanwhile waits.
 *
 * @param url `memory:` for one in this process, `amqp://host` or `amqps://host` for RabbitMQ, `kafka://host,host` for Kafka,
 *   `nats://host` or `tls://host` for NATS.
 * @throws SetupError for a scheme that there is not, an option that cannot be used, and a package that is missing
 */
export async function openBroker(url: string, options: OpenBrokerOptions = {}): Promise<Broker> {
  const { broker, start } = await makeBroker(url, options);
  await start();
  return broker;
}

/** As `openBroker`, without an attempt to connect yet. @throws SetupError as `openBroker` */
export async function makeBroker(url: string, options: OpenBrokerOptions = {}): Promise<MadeBroker> {
  checkOptions<OpenBrokerOptions>("openBroker", options, known);
  const make = makerOf(url);
  const { memory: _memory, kafka: _kafka, nats: _nats, rabbitmq: _rabbitmq, ...common } = options;
  return make(url, common, options);
}

/** @throws SetupError for a scheme that there is not; it repeats the scheme alone, since a URL may contain a password */
function makerOf(url: string): Make {
  const scheme = typeof url === "string" ? /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() : undefined;
  const make = scheme === undefined ? undefined : brokers[scheme];
  if (make !== undefined) return make;
  const names = Object.keys(brokers);
  const near = scheme === undefined ? undefined : nearestName(scheme, names);
  const hint = near === undefined ? "" : `; did you mean ${near}:?`;
  const given =
    scheme === undefined ? (typeof url === "string" ? "a text without one" : show(url)) : `${scheme}:`;
  throw new SetupError(
    `openBroker: a broker's URL begins with ${names.map((name) => `${name}:`).join(", ")}, not ${given}${hint}`,
  );
}
