import { unavailable } from "./call/codes.ts";
import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { hubClientDefaults, type HubClientOptions } from "./hub-client-options.ts";
import { HubError } from "./call/hub-error.ts";
import { toHubMethod } from "./to-hub-method.ts";
import type { HubState } from "./call/hub-state.ts";
import { Links } from "./links.ts";
import { watchPage } from "./page-life.ts";
import { RunningSubscription, type Subscription, type SubscriptionListeners } from "./subscription.ts";
import { Tokens } from "./tokens.ts";

/** JSON of a message, for rpcs that are called by their path. */
export type Json = Readonly<Record<string, unknown>>;

/** What a subscription begins with beside its request. */
export interface SubscribeOptions<T> extends SubscriptionListeners<T> {
  /** The position behind which it begins, such as `position` of an earlier subscription. Default: none, a fresh one. */
  readonly after?: string;
}

/** A client of live rpcs: one connection for all subscriptions and calls, which is made again when it is lost. */
export interface HubClient {
  readonly state: HubState;
  /**
   * Receives the messages of a streaming rpc, over any number of connections.
   *
   * @param method its descriptor; or its path, `package.Service/Method`, for messages as JSON without protobuf-es
   */
  subscribe<I extends DescMethodServerStreaming>(
    method: I,
    request: MessageInitShape<I["input"]>,
    options?: SubscribeOptions<MessageShape<I["output"]>>,
  ): Subscription<MessageShape<I["output"]>>;
  subscribe(method: string, request: Json, options?: SubscribeOptions<Json>): Subscription<Json>;
  /**
   * Calls a unary rpc, once.
   *
   * @throws HubError of the server; UNAVAILABLE while there is no connection
   */
  call<I extends DescMethodUnary>(
    method: I,
    request: MessageInitShape<I["input"]>,
  ): Promise<MessageShape<I["output"]>>;
  call(method: string, request: Json): Promise<Json>;
  /** Asks for a new token now, such as after a login, and uses it. */
  refresh(): Promise<void>;
  /** Ends all subscriptions and the connection. */
  close(): void;
}

/**
 * Connects to a gateway with live rpcs. Nothing is sent until the first subscription or call.
 *
 * @param target a URL such as `https://chat.example.com`, or a transport such as `dial("host:port")` in Node
 */
export function connectHub(
  target: string | URL | Transport,
  options: Partial<HubClientOptions> = {},
): HubClient {
  return new ConnectedHub(target, { ...hubClientDefaults, ...options });
}

class ConnectedHub implements HubClient {
  readonly #options: HubClientOptions;
  readonly #tokens: Tokens;
  readonly #links: Links;
  readonly #subscriptions = new Set<Pick<RunningSubscription<unknown>, "look" | "wake">>();
  readonly #unwatch: () => void;

  constructor(target: string | URL | Transport, options: HubClientOptions) {
    this.#options = options;
    this.#tokens = new Tokens(options.token, options.onError);
    const place = typeof target === "string" || target instanceof URL ? String(target) : target;
    this.#links = new Links(place, options, this.#tokens, () => {
      for (const subscription of this.#subscriptions) subscription.look();
    });
    this.#unwatch = watchPage({
      wake: () => this.#wake(),
      hide: () => this.#links.hide(),
      show: () => this.#links.show(),
    });
  }

  get state(): HubState {
    return this.#links.state;
  }

  subscribe<T>(
    method: DescMethodServerStreaming | string,
    request: unknown,
    { after, ...listeners }: SubscribeOptions<T> = {},
  ): Subscription<T> {
    const subscription: RunningSubscription<T> = new RunningSubscription<T>({
      method: toHubMethod(method, this.#options.registry),
      request,
      after,
      listeners,
      links: this.#links,
      tokens: this.#tokens,
      options: this.#options,
      ended: () => this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async call<T>(method: DescMethodUnary | string, request: unknown): Promise<T> {
    const known = await toHubMethod(method, this.#options.registry);
    const { state } = this.#links;
    if (state.kind === "waiting") {
      throw new HubError(unavailable, "there is no connection", [], state.error);
    }
    const link = await this.#links.ready();
    return (await link.call(known, request, await this.#tokens.get())) as T; // The contract says what it is.
  }

  refresh(): Promise<void> {
    return this.#links.renew();
  }

  close(): void {
    this.#unwatch();
    this.#links.close(undefined);
  }

  #wake(): void {
    this.#links.wake();
    for (const subscription of this.#subscriptions) subscription.wake();
  }
}
