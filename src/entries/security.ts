/** `ts-ms/security`: what decides on calls before their bodies are read, and who makes them. */

export type { ClientAddress, DoorName } from "../core/admission/call-head.ts";
export type { MessageCheck } from "../core/admission/gate.ts";
export { refusal, refusalKindOf, type RefusalInit, type RefusalKind } from "../core/admission/refusal.ts";
export type { RefusedCall } from "../core/call/observer.ts";
export {
  AccessGate,
  AccessTable,
  formatPolicy,
  policyRows,
  type AccessChallenges,
  type AccessGateInit,
  type AccessGateOptions,
  type AccessLevel,
  type AccessOptions,
  type AccessRuleInit,
  type PolicyRow,
  type PolicySources,
} from "../core/security/access-rules.ts";
export type { CredentialNeed } from "../core/admission/gate.ts";
export { principalKey, type PrincipalKind } from "../core/security/principal.ts";
