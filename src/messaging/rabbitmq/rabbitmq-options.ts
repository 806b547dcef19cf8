import { checkOptions, show } from "../../core/config/check-options.ts";
import { checkPeer } from "../../core/config/optional-peer.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type CommonBrokerOptions, reconnectDefaults, type ReconnectOptions } from "../broker-options.ts";

/** Where RabbitMQ is, and what is made there. */
export interface RabbitMqOptions extends CommonBrokerOptions {
  /**
   * `amqp://[user:password@]host[:port][/virtual-host]`, over TLS `amqps://`. Behind `?auth_mechanism=external` the server
   * knows this client by the certificate of `tls`. Default: `amqp://127.0.0.1:5672`.
   */
  readonly url: string;
  /** URLs of the nodes of a cluster, in place of `url`: taken in turn. Default: none. */
  readonly urls: readonly string[];
  /** The name of the broker, of its connections in what RabbitMQ shows of them, and the `app_id` of messages. Default: `rabbitmq`, and no `app_id`. */
  readonly name: string | undefined;
  /** What the queues of groups are: replicated, with a count of deliveries, or neither. Default: `quorum`. */
  readonly queueType: "quorum" | "classic";
  /** How many queues, of one reader each, the messages of an ordered group are divided among: 1 to 64. Default: 1. */
  readonly partitions: number;
  /** A connection that has been silent for twice to three times as long is lost, in milliseconds, whole seconds. Default: 10,000. */
  readonly heartbeatMs: number;
  /** The largest frame, in bytes; larger messages take several. Default: 131,072. */
  readonly maxFrameBytes: number;
  /** Whether a publisher makes the exchange of a topic where it is missing; otherwise it refuses the message. Default: true. */
  readonly declare: boolean;
}

/** The options with all defaults put in. */
export interface FullRabbitMqOptions extends Omit<RabbitMqOptions, "reconnect" | "url"> {
  readonly reconnect: ReconnectOptions;
}

/** The defaults of `RabbitMqOptions`. */
export const rabbitMqDefaults: RabbitMqOptions = Object.freeze({
  url: "amqp://127.0.0.1:5672",
  urls: Object.freeze([]),
  prefix: "",
  tls: undefined,
  name: undefined,
  reconnect: reconnectDefaults,
  queueType: "quorum",
  partitions: 1,
  heartbeatMs: 10_000,
  maxFrameBytes: 128 * 1024,
  declare: true,
});

/** How many slots the keys of a topic are divided among: the most partitions that a group can have. */
export const slotCount = 64;
/** The smallest frame that AMQP knows, in bytes. */
const minFrameBytes = 4_096;

/** The options with their defaults. @throws SetupError without the package, or naming the option that cannot be used; it never shows a URL */
export function toRabbitMqOptions(given: Partial<RabbitMqOptions>): FullRabbitMqOptions {
  checkPeer("amqplib", "RabbitMQ");
  checkOptions("RabbitMQ", given, rabbitMqDefaults);
  checkOptions("RabbitMQ: reconnect", given.reconnect ?? {}, reconnectDefaults);
  const { url, ...options } = { ...rabbitMqDefaults, ...given };
  const urls = options.urls.length === 0 ? [url] : options.urls;
  for (const one of urls) {
    if (!/^amqps?:\/\//.test(one) || !URL.canParse(one)) {
      throw new SetupError("RabbitMQ: url and urls must be URLs such as amqp://host:5672"); // They may hold a password.
    }
    checkMechanism(new URL(one), options.tls);
  }
  const reconnect = { ...reconnectDefaults, ...given.reconnect };
  if (!(reconnect.initialMs > 0 && reconnect.maxMs >= reconnect.initialMs)) {
    throw new SetupError("RabbitMQ: reconnect.initialMs must be positive, and maxMs not below it");
  }
  if (!/^[\w.-]*$/.test(options.prefix)) {
    throw new SetupError(
      `RabbitMQ: prefix must consist of letters, digits and ._-, not ${show(options.prefix)}`,
    );
  }
  checkRange("reconnect.jitter", reconnect.jitter, 0, 1);
  if (options.queueType !== "quorum" && options.queueType !== "classic") {
    throw new SetupError(`RabbitMQ: queueType must be "quorum" or "classic", not ${show(options.queueType)}`);
  }
  checkRange("partitions", options.partitions, 1, slotCount, true);
  checkRange("maxFrameBytes", options.maxFrameBytes, minFrameBytes, 2 ** 31, true);
  if (!(options.heartbeatMs >= 1_000 && options.heartbeatMs % 1_000 === 0)) {
    throw new SetupError("RabbitMQ: heartbeatMs must be whole seconds, such as 10000");
  }
  return { ...options, urls, reconnect };
}

/** Whether the server is to know this client by its certificate (SASL EXTERNAL), not by user and password (PLAIN). */
export function isExternal({ searchParams }: URL): boolean {
  return searchParams.get("auth_mechanism")?.toLowerCase() === "external";
}

function checkMechanism(url: URL, tls: RabbitMqOptions["tls"]): void {
  const mechanism = url.searchParams.get("auth_mechanism") ?? "plain";
  if (!/^(?:plain|external)$/i.test(mechanism)) {
    throw new SetupError(
      `RabbitMQ: auth_mechanism of the URL must be plain or external, not ${show(mechanism)}`,
    );
  }
  if (isExternal(url) && (url.protocol !== "amqps:" || tls?.cert === undefined || tls.key === undefined)) {
    throw new SetupError(
      "RabbitMQ: auth_mechanism external needs a URL that begins with amqps://, and tls.cert and tls.key",
    );
  }
}

function checkRange(name: string, value: number, from: number, to: number, isWhole = false): void {
  if (value >= from && value <= to && !(isWhole && !Number.isInteger(value))) return;
  throw new SetupError(
    `RabbitMQ: ${name} must be a ${isWhole ? "whole " : ""}number from ${from} to ${to}, not ${show(value)}`,
  );
}
