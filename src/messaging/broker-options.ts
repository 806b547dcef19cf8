/** TLS of the connections to a broker, beside what its URL says. */
export interface BrokerTls {
  /** File of the CA certificates to verify the server's certificate against, PEM. Default: those of Node. */
  readonly ca?: string;
  /** File of this client's certificate, PEM. Default: none. */
  readonly cert?: string;
  /** File of its key, PEM. Default: none. */
  readonly key?: string;
  /** The name that the server's certificate must have. Default: the host of the URL. */
  readonly serverName?: string;
}

/** How often a lost connection is tried again. */
export interface ReconnectOptions {
  /** The pause before the first attempt, in milliseconds; it doubles with each one. Default: 200. */
  readonly initialMs: number;
  /** The longest pause, in milliseconds. Default: 5,000. */
  readonly maxMs: number;
  /** By how much of itself a pause may be shorter, by chance: 0 to 1. Default: 0.2. */
  readonly jitter: number;
}

/** The defaults of `ReconnectOptions`. */
export const reconnectDefaults: ReconnectOptions = Object.freeze({
  initialMs: 200,
  maxMs: 5_000,
  jitter: 0.2,
});

/** What is said of any broker that is a server. */
export interface CommonBrokerOptions {
  /** Begins the name of everything that is made there. Default: none. */
  readonly prefix: string;
  /** Default: none beside what the URL says. */
  readonly tls: BrokerTls | undefined;
  /** Names the broker in logs, metrics and errors, and our connections there. Default: that of its system. */
  readonly name: string | undefined;
  readonly reconnect: Partial<ReconnectOptions>;
}
