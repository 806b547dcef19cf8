import type { ConnectError } from "../../core/errors/errors.ts";
import { Code, ConnectError as CallError } from "../../core/errors/errors.ts";
import type { Clock } from "../../core/time/clock.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { Pauses } from "../../core/time/pauses.ts";
import { Connections, type Purpose } from "./connections.ts";
import { answerTo, kafkaCodes, throwCode, unavailable } from "./kafka-errors.ts";
import type { Address, FullKafkaOptions } from "./kafka-options.ts";
import { type Connection, type Peer, requestsOf } from "./peer.ts";

/** A topic that there is. */
export interface Topic {
  readonly name: string;
  /** Another one where it was deleted and made again. */
  readonly id: string;
  /** The brokers that lead its partitions; below 0 for none. */
  readonly leaders: readonly number[];
}

/** What a cluster needs besides the options. */
export interface ClusterParts {
  readonly peer: Peer;
  readonly clock: Clock;
  /** A number from 0 to 1. */
  readonly random: () => number;
}

/** The oldest Kafka that knows all requests in the version in which they are sent. */
const oldest = "3.3";

/**
 * A cluster of Kafka: its brokers, its topics as far as they are used, and the connections. It connects again and again
 * by itself: all brokers may be away, now and at any time later.
 */
export class Cluster {
  readonly peer: Peer;
  readonly connections: Connections;
  readonly #options: FullKafkaOptions;
  readonly #clock: Clock;
  readonly #pauses: Pauses;
  readonly #up: () => void;
  readonly #topics = new Map<string, Topic>();
  #nodes = new Map<number, Address>();
  #control: Connection | undefined;
  #started: Promise<void> | undefined;
  #cancelPause: (() => void) | undefined;
  #lastAddress = -1;
  /** How many connections were made in all. */
  #connections = 0;
  #isClosed = false;
  #why: ConnectError | undefined;

  /**
   * @param up is called with each new connection
   * @throws SetupError where a file of TLS cannot be read
   */
  constructor(options: FullKafkaOptions, { peer, clock, random }: ClusterParts, up: () => void) {
    this.peer = peer;
    this.#options = options;
    this.#clock = clock;
    this.#up = up;
    this.connections = new Connections(options, peer);
    this.#pauses = new Pauses({ ...options.reconnect, multiplier: 2 }, random);
  }

  /** Whether a broker is there. */
  get isConnected(): boolean {
    return this.#control?.isConnected() === true;
  }

  /** How often there was a connection again after a loss. */
  get reconnects(): number {
    return Math.max(0, this.#connections - 1);
  }

  /** Why there is no connection. */
  get why(): ConnectError {
    return this.#why ?? unavailable("it has not been connected yet");
  }

  /**
   * Connects in the background. Resolves behind the first attempt, whatever has become of it, unless that can only be
   * mended by another setup: it is not tried again then.
   *
   * @throws SetupError where the broker refuses who this client is, or one of both does not trust the certificate of the other
   */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Ends all connections for good. */
  close(): void {
    this.#isClosed = true;
    this.#cancelPause?.();
    this.connections.close();
  }

  /** The connection for what any broker answers. @throws ConnectError UNAVAILABLE without one */
  control(): Connection {
    if (this.#control?.isConnected() !== true) throw this.why;
    return this.#control;
  }

  /** The connection to a broker. @throws Error where there is none */
  async to(node: number, purpose: Purpose, user?: string): Promise<Connection> {
    const address = this.#nodes.get(node);
    if (address === undefined) throw unavailable(`there is no broker ${node}`);
    return this.connections.to(address, purpose, user);
  }

  /** The broker that keeps the books of a group. @throws Error where there is none now */
  async coordinator(group: string): Promise<number> {
    const request = this.peer.findCoordinatorV4.api.async(this.control(), 0, [group]);
    const [found] = (await answerTo(request)).coordinators;
    const { errorCode = kafkaCodes.coordinatorAway, errorMessage, nodeId = -1 } = found ?? {};
    throwCode(`group ${group}`, errorCode, errorMessage);
    if (found !== undefined) this.#nodes.set(nodeId, { host: found.host, port: found.port });
    return nodeId;
  }

  /** A topic; undefined where there is none. What is known already is not asked again. @throws Error as `look` */
  async topic(name: string): Promise<Topic | undefined> {
    return this.#topics.get(name) ?? (await this.look([name])).get(name);
  }

  /** What is known of a topic. */
  known(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** What is known of a topic is wrong. */
  forget(name: string): void {
    this.#topics.delete(name);
  }

  /**
   * Asks for topics.
   *
   * @param names undefined for all that there are
   * @throws KafkaError where one may not be seen; ConnectError UNAVAILABLE without a connection
   */
  async look(names: readonly string[] | undefined): Promise<ReadonlyMap<string, Topic>> {
    const asked = names === undefined ? null : [...names];
    const request = this.peer.metadataV12.api.async(this.control(), asked, false, false);
    const { brokers, topics } = await answerTo(request);
    this.#nodes = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    const found = new Map<string, Topic>();
    for (const { errorCode, name, topicId, partitions } of topics) {
      if (name === null || name === undefined) continue;
      this.#topics.delete(name);
      if (errorCode === kafkaCodes.unknownTopic || (names === undefined && errorCode !== 0)) continue;
      throwCode(`topic ${name}`, errorCode);
      const leaders = partitions
        .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
        .map(({ leaderId }) => leaderId);
      const topic = { name, id: topicId, leaders };
      found.set(name, topic);
      if (names !== undefined) this.#topics.set(name, topic);
    }
    return found;
  }

  async #start(): Promise<void> {
    await this.#try();
    const cause = this.#why?.cause;
    if (!(cause instanceof SetupError)) return;
    this.close();
    throw cause;
  }

  async #try(): Promise<void> {
    if (this.#isClosed) return;
    try {
      const connection = await this.#connect();
      this.#control = connection;
      connection.once("close", () => this.#ended(connection));
      if (!connection.isConnected()) throw new Error("the connection has been closed");
      await this.#lookFirst(connection);
      if (this.#nodes.size === 0) throw new Error("no broker is ready");
      this.#pauses.reset();
      this.#why = undefined;
      this.#connections++;
      this.#up();
    } catch (reason) {
      this.#why = unavailable(reason);
      const control = this.#control;
      this.#control = undefined;
      control?.close().catch(() => {}); // It is closed already.
      this.#tryLater();
    }
  }

  async #lookFirst(connection: Connection): Promise<void> {
    try {
      await this.look([]);
    } catch (reason) {
      if (this.#options.sasl !== undefined || connection.isConnected()) throw reason;
      throw new Error("the broker has closed the connection, as one does that wants sasl", { cause: reason });
    }
  }

  /** A connection to the first broker that answers, which may be one that was found by others. */
  async #connect(): Promise<Connection> {
    const addresses = [...this.#options.addresses, ...this.#nodes.values()];
    this.#lastAddress = (this.#lastAddress + 1) % addresses.length;
    const address = addresses[this.#lastAddress];
    if (address === undefined) throw new Error("it has no address");
    const connection = await this.connections.to(address, "control");
    const asked = this.peer.apiVersionsV3.api.async(connection, "ts-ms", "1");
    const { apiKeys } = await answerTo(asked).catch((reason: unknown) => {
      throw this.connections.failureOf(connection, address, reason);
    });
    for (const { key, version } of requestsOf(this.peer)) {
      const known = apiKeys.find(({ apiKey }) => apiKey === key);
      if (known !== undefined && known.minVersion <= version && version <= known.maxVersion) continue;
      throw new CallError(
        `Kafka: the broker at ${address.host}:${address.port} does not know request ${key} in version ${version}: ` +
          `Kafka ${oldest} or later is needed`,
        Code.Unavailable,
      );
    }
    return connection;
  }

  #tryLater(): void {
    if (this.#isClosed) return;
    this.#cancelPause = this.#clock.after(this.#pauses.nextMs(), () => void this.#try(), false);
  }

  #ended(connection: Connection): void {
    if (this.#control !== connection) return;
    this.#control = undefined;
    this.#why = unavailable("the connection has been closed");
    void this.#try();
  }
}
