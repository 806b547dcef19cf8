import { show } from "../../config/check-options.ts";
import { toDurationMs } from "../../config/quantity-text.ts";
import { nearestName } from "../../errors/nearest-name.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { RegisterInit } from "./register-options.ts";

/** Options of `register` that a configuration has; the server comes from the program. */
export type ConfiguredRegistration = Omit<RegisterInit, "server">;

/** Reads one value. @throws Error that says what it must be */
type Read = (value: unknown) => Partial<ConfiguredRegistration>;

/** The keys below `discovery.providers.consul`, and the options that they mean. */
const keys: Readonly<Record<string, Read>> = {
  enabled: (value) => {
    toBoolean(value);
    return {};
  },
  address: (value) => ({ url: toText(value) }),
  token: (value) => (value === "" ? {} : { token: toText(value) }),
  service_name: (value) => ({ name: toText(value) }),
  service_port: (value) => ({ port: toPort(value) }),
};

/** The keys below its `health_check`. */
const checkKeys: Readonly<Record<string, Read>> = {
  enabled: (value) => (toBoolean(value) ? {} : { check: false }),
  path: (value) => ({ check: "http", path: toPath(value) }),
  interval: (value) => ({ intervalMs: toMs(value) }),
  timeout: (value) => ({ timeoutMs: toMs(value) }),
  deregister_after: (value) => ({ deregisterAfterMs: toMs(value) }),
};

/**
 * The options of `register` that `discovery.providers.consul` of a configuration means, key by key: `enabled`, `address`,
 * `token`, `service_name`, `service_port`, and of `health_check` `enabled`, `path` (a check by HTTP), `interval`, `timeout`
 * and `deregister_after`.
 *
 * @param config the value of that key, as YAML or JSON have it
 * @returns undefined unless it is enabled
 * @throws SetupError naming the key and what it must be
 */
export function configuredRegistration(config: unknown): ConfiguredRegistration | undefined {
  const at = "discovery.providers.consul";
  const { health_check: check = {}, ...own } = membersOf(config, at);
  const options = readAll(own, keys, at, ["health_check"]);
  const checkMembers = membersOf(check, `${at}.health_check`);
  const checked = readAll(checkMembers, checkKeys, `${at}.health_check`);
  if (own["enabled"] !== true) return undefined;
  const { name } = options;
  if (name === undefined) throw new SetupError(`${at}.service_name is missing: it must be a text`);
  // A path says how a check asks, not that there is one.
  return { ...options, ...checked, name, ...(checkMembers["enabled"] === false ? { check: false } : {}) };
}

function readAll(
  members: Readonly<Record<string, unknown>>,
  known: Readonly<Record<string, Read>>,
  at: string,
  others: readonly string[] = [],
): Partial<ConfiguredRegistration> {
  let options: Partial<ConfiguredRegistration> = {};
  for (const [key, value] of Object.entries(members)) {
    const read = Object.hasOwn(known, key) ? known[key] : undefined;
    if (read === undefined) {
      const near = nearestName(key, [...Object.keys(known), ...others]);
      throw new SetupError(`there is no ${at}.${key}${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
    try {
      options = { ...options, ...read(value) };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw new SetupError(`${at}.${key} ${problem}, not ${show(value)}`);
    }
  }
  return options;
}

function membersOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new SetupError(`${at} must have keys of its own, not ${show(value)}`);
}

function toBoolean(value: unknown): boolean {
  if (typeof value !== "boolean") throw new Error("must be true or false");
  return value;
}

function toText(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new Error("must be a text");
  return value;
}

function toPath(value: unknown): string {
  if (typeof value !== "string" || !value.startsWith("/"))
    throw new Error("must be a path with a leading slash");
  return value;
}

function toPort(value: unknown): number {
  if (Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535) return Number(value);
  throw new Error("must be a port from 1 to 65535");
}

function toMs(value: unknown): number {
  const ms = typeof value === "string" ? toDurationMs(value) : 0;
  if (ms <= 0) throw new Error("must be a duration such as 250ms, 5s, 1.5s or 2m");
  return ms;
}
