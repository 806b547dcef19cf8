import type { DescService, Registry } from "@bufbuild/protobuf";
import type { AnyService } from "../core/call/service.ts";
import type { ServerState, StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { ConsumedContracts, ConsumeOverrides } from "../messaging/consumed-services.ts";
import { consumedRpcs } from "../messaging/contract.ts";
import type { MessageServer } from "../messaging/message-server.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppServer } from "./app-server.ts";

/** What a configuration says of the rpcs of a service otherwise than its contract. */
export type OverridesOf = (service: DescService) => ConsumeOverrides;

/** Where a `ConsumingServer` says what has changed. */
export interface ConsumingLog {
  info(text: string): void;
  warn(text: string): void;
}

/**
 * A server of messages in an app: of the services of the app, and of those that it serves of upstreams, it reads messages
 * for those that handle some.
 */
export class ConsumingServer implements AppServer {
  readonly messages: MessageServer;
  readonly #overridesOf: OverridesOf;
  readonly #log: ConsumingLog;

  constructor(messages: MessageServer, overrides: OverridesOf, log: ConsumingLog) {
    this.messages = messages;
    this.#overridesOf = overrides;
    this.#log = log;
  }

  get name(): string {
    return this.messages.name;
  }

  get state(): ServerState {
    return this.messages.state;
  }

  get services(): readonly DescService[] {
    return this.messages.services;
  }

  /** @throws SetupError naming rpc and file, for what cannot be consumed */
  addService(service: AnyService): void {
    const overrides = this.#overridesOf(service.descriptor);
    if (consumedRpcs(service.descriptor, overrides).length === 0) return;
    this.messages.addService(service, overrides);
  }

  /**
   * Reads messages for these services of an upstream, in place of those before, and for those of the app. What cannot be
   * consumed is left out and logged: it is no reason to serve none of them.
   */
  replaceServices(services: readonly DescService[], registry?: Registry): void {
    for (const [{ typeName }, { message }] of this.serveContracts({ services, registryOf: () => registry })) {
      this.#log.warn(`${typeName} is not consumed: ${message}`);
    }
  }

  /** As that of `MessageServer`, with what the configuration says of rpcs. */
  serveContracts(contracts: Omit<ConsumedContracts, "overridesOf">): ReadonlyMap<DescService, Error> {
    const before = this.describe();
    const leftOut = this.messages.serveContracts({ ...contracts, overridesOf: this.#overridesOf });
    const after = this.describe();
    for (const line of after) if (!before.includes(line)) this.#log.info(line);
    for (const line of before) if (!after.includes(line)) this.#log.info(`${line}: no more`);
    return leftOut;
  }

  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.messages.onStateChange(listener);
  }

  start(): Promise<void> {
    return this.messages.start();
  }

  check(): Promise<void> {
    return this.messages.check();
  }

  describe(): string[] {
    return this.messages.describe();
  }

  useOptions({ http }: Pick<AppOptions, "grpc" | "http">): void {
    this.messages.reload({ gates: http.gates ?? [] });
  }

  drain(): void {
    this.messages.drain();
  }

  gracefulStop(options: StopOptions): Promise<StopReport> {
    return this.messages.gracefulStop(options);
  }
}
