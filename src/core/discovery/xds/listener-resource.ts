import type { Listener } from "../../../../gen/envoy/config/listener/v3/listener_pb.ts";
import { HTTPFaultSchema } from "../../../../gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts";
import { RouterSchema } from "../../../../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import {
  HttpConnectionManagerSchema,
  type HttpFilter,
} from "../../../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { BadResource, durationMs } from "./bad-resource.ts";
import { isFromAds } from "./config-source.ts";
import { readFault, type XdsFault } from "./fault-filter.ts";
import { unpack } from "./unpack.ts";
import { readRoutes, type XdsRoutes } from "./route-resource.ts";

/** The listener of a target. */
export interface XdsListener {
  /** The routes themselves, or the name of their `RouteConfiguration`. */
  readonly routes: string | XdsRoutes;
  /** The longest time of calls whose route says nothing, in milliseconds; undefined for no limit. */
  readonly maxStreamMs: number | undefined;
  /** Faults to inject, by the names of their filters; routes may say otherwise. */
  readonly faults: ReadonlyMap<string, XdsFault>;
}

/** @throws BadResource */
export function readListener(listener: Listener): XdsListener {
  const any = listener.apiListener?.apiListener;
  if (any === undefined) throw new BadResource("there is no api_listener");
  const manager = unpack(any, HttpConnectionManagerSchema);
  if (manager === undefined) throw new BadResource(`api_listener is of the type ${any.typeUrl}`);
  const faults = readFilters(manager.httpFilters);
  const maxStreamMs = durationMs(
    manager.commonHttpProtocolOptions?.maxStreamDuration,
    "common_http_protocol_options.max_stream_duration",
  );
  const { routeSpecifier } = manager;
  switch (routeSpecifier.case) {
    case "routeConfig":
      return { routes: readRoutes(routeSpecifier.value), maxStreamMs, faults };
    case "rds": {
      const { configSource, routeConfigName } = routeSpecifier.value;
      if (!isFromAds(configSource)) throw new BadResource("rds.config_source must be ads or self");
      if (routeConfigName === "") throw new BadResource("rds.route_config_name is empty");
      return { routes: routeConfigName, maxStreamMs, faults };
    }
    default:
      throw new BadResource("there is neither rds nor route_config");
  }
}

/** gRFC A39: the last filter is the router, and the only one; filters that are not known must be optional. */
function readFilters(filters: readonly HttpFilter[]): Map<string, XdsFault> {
  const names = new Set<string>();
  const faults = new Map<string, XdsFault>();
  let isLast = false;
  for (const { name, configType, isOptional } of filters) {
    if (name === "" || names.has(name))
      throw new BadResource(`the name "${name}" of a filter is empty or used twice`);
    names.add(name);
    if (isLast) throw new BadResource("a filter follows the router");
    const config = configType.case === "typedConfig" ? configType.value : undefined;
    const fault = config === undefined ? undefined : unpack(config, HTTPFaultSchema);
    if (fault !== undefined) faults.set(name, readFault(fault));
    else if (config !== undefined && unpack(config, RouterSchema) !== undefined) isLast = true;
    else if (!isOptional)
      throw new BadResource(`the filter ${name} is not supported: ${config?.typeUrl ?? "no config"}`);
  }
  if (!isLast) throw new BadResource("the last filter is not the router");
  return faults;
}
