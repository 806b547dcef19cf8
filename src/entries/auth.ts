/** `ts-ms/auth`: who makes calls: tokens, keys, passwords, certificates. */

export {
  apiKeys,
  basic,
  introspection,
  jwt,
  mtls,
  type JwtAlgorithm,
  type JwtOptions,
} from "../core/security/auth-schemes.ts";
export { createApiKey, type ApiKeyOptions, type NewApiKey } from "../core/security/api-keys.ts";
export type { BasicOptions } from "../core/security/basic.ts";
export { hashPassword } from "../core/security/scrypt.ts";
export type { IntrospectionOptions } from "../core/security/introspection.ts";
export type { CertificateGrants, MtlsOptions } from "../core/security/mtls.ts";
export type { Security, SecurityOptions } from "../core/security/create-security.ts";
export type { ForwardMode } from "../core/security/forward.ts";
export type { FailureLimit } from "../core/security/failure-windows.ts";
export { AuthFailure, type AuthReason } from "../core/security/auth-failure.ts";
export type {
  AuthProvider,
  AuthProviderSource,
  CredentialPlace,
  ProviderKit,
} from "../core/security/auth-provider.ts";
export type { Presented } from "../core/security/presented.ts";
export type { AuthBooks, SecurityLogger, SecurityParts } from "../core/security/security-parts.ts";
