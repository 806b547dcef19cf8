/** `ts-ms/hub-client`: live rpcs in a page or a program, over any number of connections. */

export { connectHub, type HubClient, type Json, type SubscribeOptions } from "../hub-client/connect-hub.ts";
export { hubClientDefaults, type HubClientOptions } from "../hub-client/hub-client-options.ts";
export type { BackoffOptions } from "../hub-client/backoff.ts";
export { HubError } from "../hub-client/call/hub-error.ts";
export type { HubState, LinkName } from "../hub-client/call/hub-state.ts";
export type { HubReset } from "../hub-client/call/hub-reset.ts";
export type { MessageExtra } from "../hub-client/links/link.ts";
export type { Subscription, SubscriptionListeners } from "../hub-client/subscription.ts";
export type { TokenSource } from "../hub-client/tokens.ts";
