/** `ts-ms/ext-authz`: Envoy's protocol of external authorization, as client and as server. */

export { authorizerMetadataKey, extAuthzGate } from "../core/security/ext-authz/ext-authz-gate.ts";
export {
  extAuthzDefaults,
  type AuthorizerBooks,
  type AuthorizerLogger,
  type AuthorizerOutcome,
  type ExtAuthzOptions,
} from "../core/security/ext-authz/ext-authz-options.ts";
export { type Decider, extAuthz, type ExtAuthzServiceOptions } from "../gateway/authorizer/ext-authz.ts";
