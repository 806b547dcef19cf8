import { apiKeys } from "./api-keys.ts";
import { basic } from "./basic.ts";
import { introspection } from "./introspection.ts";
import { jwt } from "./jwt.ts";
import { mtls } from "./mtls.ts";

/** The schemes of authentication, by the keys of `auth.providers.NAME` in the configuration. */
export const schemes = Object.freeze({
  jwt,
  api_key: apiKeys,
  basic,
  introspection,
  mtls,
});
