export type { CallHead, ClientAddress, DoorName } from "../core/admission/call-head.ts";
export type { Gate } from "../core/admission/gate.ts";
export { refusal, refusalKindOf, type RefusalInit, type RefusalKind } from "../core/admission/refusal.ts";
export {
  principal,
  principalKey,
  requirePrincipal,
  type Principal,
  type PrincipalKind,
} from "../core/security/principal.ts";
