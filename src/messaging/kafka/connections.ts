import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { BrokerTls } from "../broker-options.ts";
import type { Address, FullKafkaOptions } from "./kafka-options.ts";
import type { Connection, ConnectionOptions, Peer } from "./peer.ts";
import { setupFailureOf } from "./setup-failure.ts";

/** What a connection is for, which decides how long an answer may take: a broker answers each connection in order. */
export type Purpose = "control" | "produce" | "fetch" | "group" | "join";

/** The longest time that an attempt to connect takes, in milliseconds. */
const connectTimeoutMs = 5_000;
/** The longest time that an answer takes, in milliseconds. */
const answerMs = 10_000;

/** The connections to Kafka's brokers: one for each purpose, user and broker, made when it is used. */
export class Connections {
  readonly #options: FullKafkaOptions;
  readonly #peer: Peer;
  readonly #secrets: Pick<ConnectionOptions, "tls" | "sasl">;
  readonly #open = new Map<string, Promise<Connection>>();
  /** Errors of sockets: the requests of a connection that fails fail without them. */
  readonly #errors = new WeakMap<Connection, Error>();
  #isClosed = false;

  /** @throws SetupError where a file of TLS cannot be read */
  constructor(options: FullKafkaOptions, peer: Peer) {
    this.#options = options;
    this.#peer = peer;
    this.#secrets = {
      ...(options.tls !== undefined && { tls: readTls(options.tls) }),
      ...(options.sasl !== undefined && { sasl: options.sasl }),
    };
  }

  /**
   * The connection to a broker.
   *
   * @param user whose it is, where not all of a purpose share it
   * @throws SetupError where the broker refuses this client for good; another Error where there is none now
   */
  async to(address: Address, purpose: Purpose, user = ""): Promise<Connection> {
    if (this.#isClosed) throw new Error("it has been closed");
    const key = `${purpose} ${user} ${address.host}:${address.port}`;
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const opening = this.#connect(address, purpose);
    this.#open.set(key, opening);
    try {
      const connection = await opening;
      connection.once("close", () => {
        if (this.#open.get(key) === opening) this.#open.delete(key);
      });
      if (!connection.isConnected()) throw new Error("the connection has been closed");
      return connection;
    } catch (reason) {
      if (this.#open.get(key) === opening) this.#open.delete(key);
      throw reason;
    }
  }

  /** What a request of a connection has failed by. @param reason what it says itself */
  failureOf(connection: Connection, address: Address, reason: unknown): unknown {
    const cause = this.#errors.get(connection) ?? reason;
    return setupFailureOf(cause, address, this.#options) ?? cause;
  }

  /** Ends the connections of a user. */
  end(user: string): void {
    for (const [key, opening] of this.#open) if (key.split(" ")[1] === user) this.#end(key, opening);
  }

  /** Ends all; there are none any more. */
  close(): void {
    this.#isClosed = true;
    for (const [key, opening] of this.#open) this.#end(key, opening);
  }

  #end(key: string, opening: Promise<Connection>): void {
    this.#open.delete(key);
    opening.then((connection) => connection.close()).catch(() => {}); // There is none, or it is closed already.
  }

  async #connect(address: Address, purpose: Purpose): Promise<Connection> {
    const { host, port } = address;
    const { clientId, rebalanceTimeoutMs, tls } = this.#options;
    const connection = new this.#peer.Connection(clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: purpose === "join" ? rebalanceTimeoutMs + answerMs : answerMs,
      maxInflights: 1_000,
      ...this.#secrets,
      // TLS has no way to ask for an address by name.
      ...(tls !== undefined && { tlsServerName: tls.serverName ?? isIP(host) === 0 }),
    });
    connection.on("error", (error) => this.#errors.set(connection, error)); // Without a listener it would be thrown.
    try {
      await connection.connect(host, port);
    } catch (reason) {
      throw setupFailureOf(reason, address, this.#options) ?? reason;
    }
    return connection;
  }
}

function readTls({ ca, cert, key }: BrokerTls): NonNullable<ConnectionOptions["tls"]> {
  return {
    ...(ca !== undefined && { ca: readFile("CA", ca) }),
    ...(cert !== undefined && { cert: readFile("certificate", cert) }),
    ...(key !== undefined && { key: readFile("key", key) }),
  };
}

function readFile(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (reason) {
    throw new SetupError(`Kafka: the file of the ${what} cannot be read: ${path}`, { cause: reason });
  }
}
