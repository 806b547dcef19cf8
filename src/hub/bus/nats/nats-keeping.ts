/** How NATS keeps what is published. */
export interface NatsKeeping {
  /** Where; what is in memory is lost with the server. Default: `memory`. */
  readonly storage: "memory" | "file";
  /** How many servers of a cluster have it. Default: 1. */
  readonly replicas: number;
}
