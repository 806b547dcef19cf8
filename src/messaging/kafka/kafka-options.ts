import { checkOptions, show } from "../../core/config/check-options.ts";
import { checkPeer } from "../../core/config/optional-peer.ts";
import type { FaultLogOptions } from "../../core/call/fault-log.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type CommonBrokerOptions, reconnectDefaults, type ReconnectOptions } from "../broker-options.ts";

/** Who this client is at Kafka. */
export interface KafkaSasl {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
  readonly username?: string;
  readonly password?: string;
  /** The token of `OAUTHBEARER`, or what gives the one of now. */
  readonly token?: string | (() => string | Promise<string>);
}

/** Where Kafka is, and what is made there. */
export interface KafkaOptions extends CommonBrokerOptions, FaultLogOptions {
  /** `kafka://[user:password@]host[:port][,host[:port]…]`: some of the brokers, the others are found by them. Default: `kafka://127.0.0.1:9092`. */
  readonly url: string;
  /** Default: PLAIN with the user and password of the URL, none without. */
  readonly sasl: KafkaSasl | undefined;
  /** What Kafka shows of this client. Default: `ts-ms`. */
  readonly clientId: string;
  /** Where this process is: what has a replica in the same rack is read from there. Default: none. */
  readonly rack: string | undefined;
  /** Partitions of topics that are made. Default: 6. */
  readonly partitions: number;
  /** Replicas of topics that are made. Default: as many as the broker makes. */
  readonly replicas: number | undefined;
  /** Default: none. */
  readonly compression: "none" | "gzip" | "lz4" | "zstd" | "snappy";
  /** Most bytes of messages that are sent to a partition at once; one larger message goes alone. Default: 1 MiB. */
  readonly maxBatchBytes: number;
  /** How long a reader may be silent before its partitions are given to others, in milliseconds. Default: 20,000. */
  readonly sessionTimeoutMs: number;
  /** How long the readers of a group have to join again when it changes, in milliseconds. Default: 60,000. */
  readonly rebalanceTimeoutMs: number;
  /** Names this process among the readers of its groups: by a restart within the session it keeps its partitions. Default: none. */
  readonly instanceId: string | undefined;
  /** The protocol of groups. Default, and the only one: `classic`. */
  readonly groupProtocol: "classic";
  /** How often what is settled is committed, in milliseconds. Default: 1,000. */
  readonly commitIntervalMs: number;
  /** Nothing of a partition is handled that is so many messages behind its first one that is not settled. Default: 1,000. */
  readonly maxAhead: number;
  /** Whether a publisher makes a topic that is missing; otherwise it refuses the message. Default: true. */
  readonly declare: boolean;
}

/** One of Kafka's brokers, by its address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The options with all defaults put in. */
export interface FullKafkaOptions extends Omit<KafkaOptions, "reconnect" | "url"> {
  readonly addresses: readonly Address[];
  readonly reconnect: ReconnectOptions;
}

/** The defaults of `KafkaOptions`. */
export const kafkaDefaults: KafkaOptions = Object.freeze({
  url: "kafka://127.0.0.1:9092",
  prefix: "",
  tls: undefined,
  sasl: undefined,
  name: undefined,
  clientId: "ts-ms",
  rack: undefined,
  reconnect: reconnectDefaults,
  partitions: 6,
  replicas: undefined,
  compression: "none",
  maxBatchBytes: 1024 * 1024,
  sessionTimeoutMs: 20_000,
  rebalanceTimeoutMs: 60_000,
  instanceId: undefined,
  groupProtocol: "classic",
  commitIntervalMs: 1_000,
  maxAhead: 1_000,
  declare: true,
  logger: undefined,
});

const defaultPort = 9092;
const compressions = ["none", "gzip", "lz4", "zstd", "snappy"];
const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
/** What is settled out of order is kept with the committed offset, where Kafka takes 4,096 bytes: a bit each. */
const mostAhead = 16_000;

/** The options with their defaults. @throws SetupError without the package, or naming the option that cannot be used; it never shows a URL */
export function toKafkaOptions(given: Partial<KafkaOptions>): FullKafkaOptions {
  checkPeer("@platformatic/kafka", "Kafka");
  checkOptions("Kafka", given, kafkaDefaults);
  checkOptions("Kafka: reconnect", given.reconnect ?? {}, reconnectDefaults);
  const { url, ...options } = { ...kafkaDefaults, ...given };
  const { addresses, user } = readUrl(url);
  const reconnect = { ...reconnectDefaults, ...given.reconnect };
  if (!(reconnect.initialMs > 0 && reconnect.maxMs >= reconnect.initialMs)) {
    throw new SetupError("Kafka: reconnect.initialMs must be positive, and maxMs not below it");
  }
  if (!/^[\w.-]*$/.test(options.prefix)) {
    throw new SetupError(
      `Kafka: prefix must consist of letters, digits and ._-, not ${show(options.prefix)}`,
    );
  }
  checkChoice("compression", options.compression, compressions);
  checkChoice("groupProtocol", options.groupProtocol, ["classic"]);
  if (options.sasl !== undefined) checkSasl(options.sasl);
  checkRange("reconnect.jitter", reconnect.jitter, 0, 1);
  checkRange("partitions", options.partitions, 1, 10_000);
  if (options.replicas !== undefined) checkRange("replicas", options.replicas, 1, 1_000);
  checkRange("maxBatchBytes", options.maxBatchBytes, 1_024, 2 ** 30);
  checkRange("sessionTimeoutMs", options.sessionTimeoutMs, 1_000, 2 ** 31 - 1);
  checkRange("rebalanceTimeoutMs", options.rebalanceTimeoutMs, options.sessionTimeoutMs, 2 ** 31 - 1);
  checkRange("commitIntervalMs", options.commitIntervalMs, 1, 2 ** 31 - 1);
  checkRange("maxAhead", options.maxAhead, 1, mostAhead);
  return { ...options, sasl: options.sasl ?? user, addresses, reconnect };
}

/** @throws SetupError that does not show the URL: it may hold a password */
function readUrl(url: string): {
  readonly addresses: readonly Address[];
  readonly user: KafkaSasl | undefined;
} {
  const found = /^kafka:\/\/(?:([^:@/]*):([^@/]*)@)?([^@/?#]+)\/?$/i.exec(url);
  const wrong = new SetupError("Kafka: url must be one such as kafka://host:9092,other:9092");
  if (found === null) throw wrong;
  const [, username, password, hosts = ""] = found;
  const addresses = hosts.split(",").map((text): Address => {
    const parts = /^(\[[\da-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text.trim());
    const port = Number(parts?.[2] ?? defaultPort);
    if (parts === null || port > 65_535) throw wrong;
    return { host: (parts[1] ?? "").replace(/^\[|\]$/g, ""), port };
  });
  if (username === undefined || password === undefined) return { addresses, user: undefined };
  return {
    addresses,
    user: {
      mechanism: "PLAIN",
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    },
  };
}

function checkSasl({ mechanism, username, password, token }: KafkaSasl): void {
  checkChoice("sasl.mechanism", mechanism, mechanisms);
  if (mechanism === "OAUTHBEARER") {
    if (token === undefined) throw new SetupError("Kafka: sasl.token is needed for OAUTHBEARER");
  } else if (username === undefined || password === undefined) {
    throw new SetupError(`Kafka: sasl.username and sasl.password are needed for ${mechanism}`);
  }
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  throw new SetupError(`Kafka: ${name} must be one of ${choices.join(", ")}, not ${show(value)}`);
}

function checkRange(name: string, value: number, from: number, to: number): void {
  const isInside = value >= from && value <= to && (to <= 1 || Number.isInteger(value));
  if (!isInside) throw new SetupError(`Kafka: ${name} must be ${from} to ${to}, not ${show(value)}`);
}
