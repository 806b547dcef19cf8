/** What providers are made of, for the rooms outside. */

export { apiKeys } from "./schemes/api-keys.ts";
export { basic } from "./schemes/basic.ts";
export { introspection } from "./schemes/introspection.ts";
export { jwt } from "./schemes/jwt.ts";
export { mtls } from "./schemes/mtls.ts";
export { schemes } from "./schemes/schemes.ts";
export type { JwtAlgorithm, JwtOptions } from "./jwt/jwt-options.ts";
