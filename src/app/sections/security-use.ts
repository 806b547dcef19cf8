import type { CallHead } from "../../core/admission/call-head.ts";
import type { Authenticator } from "../../core/security/authenticator.ts";
import type { AccessTable } from "../../core/security/access-rules.ts";
import type { CredentialNeed } from "../../core/admission/gate.ts";

/** What the sections `auth`, `access` and `audit` know of one another; one for a program, by `SectionKit.shared`. */
export interface SecurityUse {
  /** Finds out who makes calls; undefined before it is started, and without the section `auth`. */
  authenticator: Authenticator | undefined;
  /**
   * What a call needs. The section `access` sets its own; without it every caller must be known, but for
   * `grpc.health.v1`.
   */
  needOf: (call: CallHead) => CredentialNeed;
  /** The access rules in use; undefined without the section `access`. */
  rules: AccessTable | undefined;
}

/** Makes a `SecurityUse`. */
export function makeSecurityUse(): SecurityUse {
  return {
    authenticator: undefined,
    needOf: ({ method }) => (method.parent.typeName === "grpc.health.v1.Health" ? "none" : "required"),
    rules: undefined,
  };
}
