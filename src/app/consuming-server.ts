import type { DescService } from "@bufbuild/protobuf";
import type { AnyService } from "../core/call/service.ts";
import type { ServerState, StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { ConsumeOverride } from "../messaging/consume-settings.ts";
import { consumedRpcs } from "../messaging/contract.ts";
import type { MessageServer } from "../messaging/message-server.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppServer } from "./app-server.ts";

/** What a configuration says of the rpcs of a service otherwise than its contract. */
export type OverridesOf = (service: DescService) => Readonly<Record<string, ConsumeOverride>>;

/** A server of messages in an app: of the services of the app it reads messages for those that handle some. */
export class ConsumingServer implements AppServer {
  readonly messages: MessageServer;
  readonly #overridesOf: OverridesOf;

  constructor(messages: MessageServer, overrides: OverridesOf) {
    this.messages = messages;
    this.#overridesOf = overrides;
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
