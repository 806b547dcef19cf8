import type {
  ConsulProviderConfig,
  ConsulRegistrationConfig,
} from "../../../gen/ts_ms/config/v1/discovery_pb.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import type { ConfiguredRegistration } from "../../core/discovery/consul/provider-config.ts";
import type { RegisteredServer } from "../../core/discovery/consul/register-options.ts";
import { register } from "../../core/discovery/consul/register.ts";
import type { AppServer } from "../app-server.ts";
import { given } from "./given.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { hasGrpcPort, hasUpstreams } from "./upstream-use.ts";

/** How a server is asked whether it is healthy. */
type Check = ConfiguredRegistration["check"];

/** The registration with Consul: it starts behind the server that is registered, and ends before it. */
export function open(kit: SectionKit): SectionParts {
  const options = optionsOf(kit);
  const { server: name, check } = registeredServer(kit, options.check);
  let server: AppServer | undefined;
  return {
    equip(made, madeName) {
      if (madeName === name) server = made;
    },
    servers: [
      {
        name: "registration",
        after: [name],
        make: () => register({ ...options, check, server: serverAt(() => server) }),
      },
    ],
  };
}

/** The server that is there at the time. */
function serverAt(get: () => AppServer | undefined): RegisteredServer {
  return {
    name: "registered",
    get state() {
      return get()?.state ?? "init";
    },
    get address() {
      return get()?.address;
    },
    get isSecure() {
      return get()?.isSecure ?? false;
    },
    drain: () => get()?.drain(),
    gracefulStop: async (stop = {}) =>
      (await get()?.gracefulStop(stop)) ?? { finished: 0, notified: [], cut: [] },
  };
}

type Options = Omit<ConfiguredRegistration, "check"> & { readonly check: Check | undefined };

function optionsOf(kit: SectionKit): Options {
  const { config, mistake } = kit;
  const own = config.register?.consul;
  const older = config.discovery?.providers?.consul;
  const isOlder = older?.enabled === true;
  if (own !== undefined && isOlder) {
    throw mistake(
      "register.consul",
      "discovery.providers.consul registers the program too: give one of them",
    );
  }
  const key = isOlder ? "discovery.providers.consul.service_name" : "register.consul.name";
  const options = isOlder ? ofProvider(older) : own === undefined ? {} : ofRegistration(own);
  const name = options.name ?? config.app.name;
  if (name === undefined || name === "") {
    throw mistake(key, "is missing, and app.name too: give the name of the service");
  }
  const { zone } = config.app;
  const meta = { ...(zone === undefined ? {} : { zone }), ...options.meta };
  return { ...options, name, meta, check: options.check };
}

function ofRegistration(config: ConsulRegistrationConfig): Partial<ConfiguredRegistration> {
  const { name, address, port, id, tags, meta, weight, required, interval, timeout, path } = config;
  const { ttl, tlsSkipVerify, deregisterAfter, verify, settle } = config;
  const check = config.check === "none" ? false : (config.check as Check); // The loader has checked the word.
  return {
    tags,
    meta,
    weight,
    required,
    intervalMs: interval,
    timeoutMs: timeout,
    path,
    ttlMs: ttl,
    tlsSkipVerify,
    deregisterAfterMs: deregisterAfter,
    verifyMs: verify,
    settleMs: settle,
    ...given({ name, address, port, id, check }),
  };
}

/** The keys of an older shape, which mean those of `register.consul`. */
function ofProvider({
  serviceName,
  servicePort,
  healthCheck,
}: ConsulProviderConfig): Partial<ConfiguredRegistration> {
  const { enabled = true, path, interval, timeout, deregisterAfter } = healthCheck ?? {};
  const check: Check | undefined = enabled ? (path === undefined ? undefined : "http") : false;
  return given({
    name: serviceName,
    port: servicePort,
    check,
    path,
    intervalMs: interval,
    timeoutMs: timeout,
    deregisterAfterMs: deregisterAfter,
  });
}

/** The server that others are to call: the one that the check asks, else that of gRPC, but of a gateway that of HTTP. */
function registeredServer(
  { config, mistake }: SectionKit,
  check: Check | undefined,
): { readonly server: "grpc" | "http"; readonly check: Exclude<Check, undefined> } {
  const hasGrpc = hasGrpcPort(config);
  const hasHttp = config.http.enabled;
  if (!hasGrpc && !hasHttp) throw mistake("register.consul", "there is no server to register");
  const isOnePort = config.app.port !== undefined;
  if (check === "grpc" && !hasGrpc && !isOnePort) {
    throw mistake("register.consul.check", "grpc needs a gRPC server: take http, or leave the key out");
  }
  if (check === "http" && !hasHttp) {
    throw mistake("register.consul.check", "http needs http.enabled: take grpc, or leave the key out");
  }
  const isHttp = hasHttp && (check === "http" || !hasGrpc || (check === undefined && hasUpstreams(config)));
  const server = isHttp ? "http" : "grpc";
  return { server, check: check ?? byDefault(config, server) };
}

/** Agents have no certificate for servers that demand one: such a server tells by itself how it is. */
function byDefault({ tls }: Config, server: "grpc" | "http"): Exclude<Check, undefined> {
  return tls?.client === "required" ? "ttl" : server;
}
