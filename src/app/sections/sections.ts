import type { Config } from "../../core/config/loader/config-types.ts";
import { isFaceOn } from "./face-use.ts";
import type { Section } from "./section.ts";
import { hasUpstream, hasUpstreams } from "./upstream-use.ts";
// What every configuration uses, unless it says otherwise, is loaded at once: each file of its own would cost a start.
import { open as openApp } from "./app-section.ts";
import { open as openClients } from "./clients-section.ts";
import { open as openGrpc } from "./grpc-section.ts";
import { open as openHttp } from "./http-section.ts";
import { open as openSse } from "./sse-section.ts";
import { open as openTelemetry } from "./telemetry-section.ts";
import { open as openValidation } from "./validation-section.ts";
import { open as openWebsocket } from "./websocket-section.ts";

/** All sections, in the order in which they are opened. */
export const sections: readonly Section[] = [
  { name: "telemetry", isUsed: () => true, load: () => ({ open: openTelemetry }) },
  {
    name: "audit",
    isUsed: ({ audit }) => audit?.destination !== undefined,
    load: () => import("./audit-section.ts"),
  },
  { name: "tls", isUsed: ({ tls }) => tls !== undefined, load: () => import("./tls-section.ts") },
  { name: "clients", isUsed: () => true, load: () => ({ open: openClients }) },
  {
    name: "discovery",
    isUsed: ({ discovery }) => discovery?.consul !== undefined || discovery?.providers !== undefined,
    load: () => import("./discovery-section.ts"),
  },
  {
    name: "outbox",
    isUsed: ({ outbox }) => outbox !== undefined,
    isFixed: true,
    load: () => import("./outbox-section.ts"),
  },
  {
    name: "saga",
    isUsed: ({ saga }) => saga !== undefined,
    isFixed: true,
    load: () => import("./saga-section.ts"),
  },
  {
    name: "messaging",
    isUsed: ({ messaging }) => messaging !== undefined,
    isFixed: true,
    load: () => import("./messaging-section.ts"),
  },
  { name: "app", isUsed: () => true, load: () => ({ open: openApp }) },
  { name: "grpc", isUsed: () => true, load: () => ({ open: openGrpc }) },
  { name: "http", isUsed: () => true, load: () => ({ open: openHttp }) },
  {
    name: "access",
    isUsed: ({ access, auth, session }) => [access, auth, session].some((section) => section !== undefined),
    load: () => import("./access-section.ts"),
  },
  {
    name: "session",
    isUsed: ({ session }) => session !== undefined,
    load: () => import("./session-section.ts"),
  },
  {
    name: "auth",
    isUsed: ({ auth, session }) => auth !== undefined || session !== undefined,
    load: () => import("./auth-section.ts"),
  },
  {
    name: "csrf",
    isUsed: ({ csrf, session }) => csrf !== undefined || session !== undefined,
    load: () => import("./csrf-section.ts"),
  },
  { name: "pages", isUsed: ({ pages }) => pages !== undefined, load: () => import("./pages-section.ts") },
  { name: "upstream", isUsed: hasUpstream, load: () => import("./upstream-section.ts") },
  { name: "upstreams", isUsed: usesUpstreams, isFixed: true, load: () => import("./upstreams-section.ts") },
  { name: "register", isUsed: registers, load: () => import("./register-section.ts") },
  { name: "websocket", isUsed: () => true, load: () => ({ open: openWebsocket }) },
  {
    name: "stores",
    isUsed: ({ stores }) => stores?.redis !== undefined,
    load: () => import("./stores-section.ts"),
  },
  {
    name: "limits",
    isUsed: ({ limits }) => Object.keys(limits).length > 0,
    load: () => import("./limits-section.ts"),
  },
  {
    name: "overload",
    isUsed: ({ overload }) => overload?.enabled ?? false,
    load: () => import("./overload-section.ts"),
  },
  {
    name: "signatures",
    isUsed: ({ signatures }) => signatures !== undefined,
    load: () => import("./signatures-section.ts"),
  },
  {
    name: "envelope",
    isUsed: ({ envelope }) => envelope !== undefined,
    load: () => import("./envelope-section.ts"),
  },
  { name: "validation", isUsed: checksMessages, load: () => ({ open: openValidation }) },
  {
    name: "ext_authz",
    isUsed: ({ extAuthz }) => extAuthz !== undefined,
    load: () => import("./ext-authz-section.ts"),
  },
  {
    name: "hub",
    isUsed: ({ hub }) => hub !== undefined,
    isFixed: true,
    load: () => import("./hub-section.ts"),
  },
  {
    name: "dispatch", // Behind the hub, whose bus its section loads.
    isUsed: ({ dispatch }) => dispatch !== undefined,
    isFixed: true,
    load: () => import("./dispatch-section.ts"),
  },
  {
    name: "admin",
    isUsed: ({ admin }) => admin !== undefined && admin.port !== "off",
    load: () => import("./admin-section.ts"),
  },
  { name: "sse", isUsed: () => true, load: () => ({ open: openSse }) },
  {
    name: "docs",
    isUsed: (config) => isFaceOn(config, config.docs),
    isFixed: true,
    load: () => import("./docs-section.ts"),
  },
  {
    name: "openapi",
    isUsed: (config) => isFaceOn(config, config.openapi),
    isFixed: true,
    load: () => import("./openapi-section.ts"),
  },
  {
    name: "mcp",
    isUsed: ({ http, mcp }) => http.enabled && mcp !== undefined && (mcp.enabled ?? true),
    isFixed: true,
    load: () => import("./mcp-section.ts"),
  },
  {
    name: "graphql",
    isUsed: ({ http, graphql }) => http.enabled && graphql !== undefined && (graphql.enabled ?? true),
    isFixed: true,
    load: () => import("./graphql-section.ts"),
  },
];

function checksMessages({ validation: { requests, responses } }: Config): boolean {
  return requests !== "off" || responses === "enforce";
}

/** Rules about upstreams without any are a mistake that their section tells. */
function usesUpstreams(config: Config): boolean {
  const hasRules = config.traffic.length > 0 || (config.policies.length > 0 && !hasUpstream(config));
  return hasUpstreams(config) || hasRules;
}

function registers({ register, discovery }: Config): boolean {
  return register?.consul !== undefined || discovery?.providers?.consul?.enabled === true;
}
