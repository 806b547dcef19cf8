/** `ts-ms/consul`: finding services by Consul, and being found. */

export { consulResolver, type ConsulResolverOptions } from "../core/discovery/consul/consul-resolver.ts";
export { consulCatalog, type ConsulCatalogOptions } from "../core/discovery/consul/consul-catalog.ts";
export type { ConsulOptions } from "../core/discovery/consul/consul-agent.ts";
export {
  configuredRegistration,
  type ConfiguredRegistration,
} from "../core/discovery/consul/provider-config.ts";
export { registerProgram } from "../core/discovery/consul/register-program.ts";
export { register, type Registration } from "../core/discovery/consul/register.ts";
export type {
  RegisteredServer,
  RegisterInit,
  RegisterOptions,
} from "../core/discovery/consul/register-options.ts";
