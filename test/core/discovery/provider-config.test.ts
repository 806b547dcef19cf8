import assert from "node:assert/strict";
import { test } from "node:test";
import { configuredRegistration } from "../../../src/entries/consul.ts";

const enabled = { enabled: true, service_name: "users" };

for (const [what, config, options] of [
  ["a name alone", enabled, { name: "users" }],
  [
    "every key",
    {
      ...enabled,
      address: "consul.test:8500",
      token: "secret",
      service_port: 42_001,
      health_check: {
        enabled: true,
        path: "/health",
        interval: "5s",
        timeout: "1.5s",
        deregister_after: "2m",
      },
    },
    {
      name: "users",
      url: "consul.test:8500",
      token: "secret",
      port: 42_001,
      check: "http",
      path: "/health",
      intervalMs: 5_000,
      timeoutMs: 1_500,
      deregisterAfterMs: 120_000,
    },
  ],
  ["no token", { ...enabled, token: "" }, { name: "users" }],
  ["a check without a path", { ...enabled, health_check: { enabled: true } }, { name: "users" }],
  [
    "no check",
    { ...enabled, health_check: { enabled: false, path: "/health" } },
    { name: "users", check: false, path: "/health" },
  ],
  [
    "another order",
    { ...enabled, health_check: { path: "/", enabled: false } },
    { name: "users", check: false, path: "/" },
  ],
  ["disabled", { enabled: false }, undefined],
  ["not enabled", { service_name: "users" }, undefined],
] as const) {
  test(`discovery.providers.consul: ${what}`, () =>
    assert.deepEqual(configuredRegistration(config), options));
}

for (const [config, expected] of [
  [{ enabled: true }, /^discovery\.providers\.consul\.service_name is missing/],
  [[], /^discovery\.providers\.consul must have keys of its own, not \[\]$/],
  [{ ...enabled, enabled: "yes" }, /consul\.enabled must be true or false, not 'yes'$/],
  [{ ...enabled, service_port: 0 }, /consul\.service_port must be a port from 1 to 65535, not 0$/],
  [{ ...enabled, address: 8_500 }, /consul\.address must be a text, not 8500$/],
  [
    { ...enabled, servicename: "x" },
    /no discovery\.providers\.consul\.servicename; did you mean service_name\?$/,
  ],
  [{ ...enabled, health_check: true }, /consul\.health_check must have keys of its own/],
  [{ ...enabled, health_check: { interval: 5 } }, /health_check\.interval must be a duration .*, not 5$/],
  [{ ...enabled, health_check: { timeout: "2" } }, /health_check\.timeout must be a duration .*, not '2'$/],
  [
    { ...enabled, health_check: { path: "health" } },
    /health_check\.path must be a path with a leading slash/,
  ],
  [
    { ...enabled, health_check: { intervall: "5s" } },
    /no .*health_check\.intervall; did you mean interval\?$/,
  ],
  // A wrong value is an error also where nothing is enabled.
  [{ enabled: false, service_port: -1 }, /service_port must be a port/],
] as const) {
  test(`${JSON.stringify(config)} is refused`, () => {
    assert.throws(() => configuredRegistration(config), { name: "TypeError", message: expected });
  });
}
