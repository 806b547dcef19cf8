import type { Arrows } from "./import-rules.ts";

/**
 * The rooms of `src/`, and the rooms that each may import beside itself: the arrows of the house. Generated code may
 * be imported everywhere. A folder that is no room of its own belongs to the room above it and is private to it.
 *
 * `…` at the end of a name stands for all rooms below it.
 */
export const arrows: Arrows = {
  // What a call says: its vocabulary.
  "core/errors": [],
  "core/config": ["core/errors"],
  "core/config/loader": ["core/errors", "core/config"],
  "core/metadata": ["core/errors"],
  "core/wire": ["core/errors"],
  "core/wire/codings": [],
  "core/codec": ["core/errors"],
  "core/net": ["core/errors", "core/config", "core/metadata", "core/time"],
  "core/http-rule": ["core/errors", "core/config"],
  "core/schema": ["core/errors", "core/config", "core/codec"],
  "core/time": [],
  "core/contract": ["core/errors", "core/codec", "core/http-rule", "core/time", "core/call"],

  // How clients choose and spare what they call: parts that do not know one another.
  "core/policy": ["core/errors", "core/config", "core/http-rule"],
  "core/resilience": ["core/errors", "core/config", "core/metadata", "core/time"],
  "core/discovery": ["core/errors", "core/config", "core/net", "core/time"],

  "core/cluster": [
    "core/errors",
    "core/metadata",
    "core/time",
    "core/http2",
    "core/http-rule",
    "core/discovery",
    "core/policy",
    "core/resilience",
    "core/call",
  ],

  // What a call is, and how a program runs.
  "core/call": ["core/errors", "core/config", "core/metadata", "core/codec"],
  "core/ambient": ["core/metadata", "core/call"],
  // What divides, copies and disturbs calls.
  "core/traffic": ["core/errors", "core/config", "core/metadata", "core/policy", "core/call"],
  "core/lifecycle": ["core/errors", "core/config"],
  "core/discovery/consul": [
    "core/errors",
    "core/config",
    "core/net",
    "core/time",
    "core/lifecycle",
    "core/discovery",
  ],
  "core/discovery/kubernetes": ["core/errors", "core/net", "core/time", "core/discovery"],
  "core/discovery/xds": [
    "core/errors",
    "core/net",
    "core/time",
    "core/call",
    "core/http2",
    "core/grpc/client",
    "core/discovery",
  ],
  "core/telemetry": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/security",
    "core/net",
    "core/call",
    "core/lifecycle",
    "core/http2",
    "core/resilience",
    "core/discovery",
    "core/cluster",
    "core/traffic",
  ],

  "core/telemetry/tracing": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/wire",
    "core/net",
    "core/call",
    "core/ambient",
    "core/telemetry",
  ],

  // Several processes with one port. Loaded by programs with workers.
  "core/workers": ["core/errors", "core/config", "core/net", "core/time", "core/lifecycle", "core/telemetry"],

  // Whether a call may go on.
  "core/admission": ["core/errors", "core/config", "core/metadata", "core/net", "core/call"],
  "core/condition": ["core/errors", "core/config"],
  "core/security": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/net",
    "core/time",
    "core/call",
    "core/admission",
    "core/condition",
  ],
  "core/security/signatures": [
    "core/errors",
    "core/metadata",
    "core/call",
    "core/admission",
    "core/policy",
    "core/security",
  ],
  "core/security/audit": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/call",
    "core/admission",
    "core/policy",
    "core/security",
  ],
  "core/security/envelope": ["core/errors", "core/call", "core/admission", "core/policy", "core/security"],
  "core/security/ext-authz": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/call",
    "core/admission",
    "core/policy",
  ],
  "core/validation": ["core/errors", "core/config", "core/call", "core/admission"],
  "core/redis": ["core/errors", "core/config", "core/time"],
  "core/nats": ["core/errors", "core/config", "core/time"],
  "core/limits": [
    "core/errors",
    "core/config",
    "core/net",
    "core/policy",
    "core/call",
    "core/admission",
    "core/security",
    "core/redis",
  ],
  "core/overload": [
    "core/errors",
    "core/config",
    "core/net",
    "core/time",
    "core/policy",
    "core/call",
    "core/admission",
    "core/security",
    "core/limits",
  ],

  // How a call travels.
  "core/http2": ["core/errors", "core/config", "core/metadata", "core/wire", "core/net", "core/time"],
  "core/grpc": ["core/errors", "core/metadata", "core/codec"],
  "core/grpc/health": ["core/errors", "core/call"],
  "core/grpc/reflection": ["core/errors", "core/call"],
  "core/grpc/server": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/wire",
    "core/wire/codings",
    "core/codec",
    "core/net",
    "core/call",
    "core/admission",
    "core/http2",
    "core/grpc",
    "core/validation",
  ],
  "core/grpc/client": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/wire",
    "core/wire/codings",
    "core/codec",
    "core/net",
    "core/call",
    "core/http2",
    "core/grpc",
  ],

  // What clients ask endpoints about their health; loaded by those that do.
  "core/health-checks": [
    "core/errors",
    "core/wire",
    "core/time",
    "core/net",
    "core/call",
    "core/http2",
    "core/cluster",
    "core/grpc/client",
  ],

  // Calls by HTTP and JSON, in browsers too: no part of it needs Node.
  "core/rest": ["core/errors", "core/http-rule", "core/wire"],
  // Endpoints that speak REST, called by the client of our HTTP routes; loaded by clients that have such endpoints.
  "core/rest-endpoints": [
    "core/errors",
    "core/metadata",
    "core/wire",
    "core/net",
    "core/http2",
    "core/resilience",
    "core/rest",
  ],

  // What `dial` may be given, and what is loaded once that is called.
  "core/targets": [
    "core/errors",
    "core/config",
    "core/net",
    "core/http2",
    "core/discovery",
    "core/policy",
    "core/resilience",
    "core/discovery/consul",
    "core/discovery/kubernetes",
    "core/discovery/xds",
    "core/cluster",
    "core/health-checks",
    "core/rest-endpoints",
    "core/telemetry",
  ],

  // The assemblers of core.
  core: ["core/…"],

  // What stands behind a server: another one of this process, a target, a transport.
  "core/upstream": ["core", "core/config", "core/call"],

  // HTTP in front of a transport.
  "gateway/http": [
    "core/errors",
    "core/admission",
    "core/metadata",
    "core/wire",
    "core/wire/codings",
    "core/codec",
    "core/net",
    "core/http-rule",
    "core/call",
  ],
  "gateway/http/browsers": ["core/errors", "core/security", "core/wire/codings", "gateway/http"],
  "gateway/connections": [
    "core/errors",
    "core/admission",
    "core/net",
    "core/call",
    "core/lifecycle",
    "core/http2",
    "core/metadata",
    "core/wire",
    "gateway/http",
  ],
  // HTTP/3; what it is made of is loaded when a server opens its door.
  "gateway/http3": [
    "core/errors",
    "core/config",
    "core/net",
    "core/call",
    "core/http2",
    "gateway/http",
    "gateway/connections",
  ],
  "gateway/fastify": [
    "core/errors",
    "core/config",
    "core/net",
    "core/metadata",
    "core/call",
    "core/lifecycle",
    "gateway/http",
  ],
  "gateway/routing": ["core/errors", "core/net", "core/http-rule", "gateway/http"],
  "gateway/binding": ["core/errors", "core/codec", "core/http-rule", "gateway/http", "gateway/routing"],
  "gateway/doors/options": ["core/errors", "gateway/http"],
  "gateway/doors/rest": [
    "core/…",
    "gateway/http",
    "gateway/http/browsers",
    "gateway/routing",
    "gateway/binding",
    "gateway/doors",
    "gateway/doors/options",
  ],
  "gateway/doors/rpc": ["core/…", "gateway/http", "gateway/binding", "gateway/doors"],
  "gateway/doors/connect": ["core/…", "gateway/http", "gateway/doors", "gateway/doors/rpc"],
  "gateway/doors/grpc-web": ["core/…", "gateway/http", "gateway/doors", "gateway/doors/rpc"],
  "gateway/doors/grpc": ["core/…", "gateway/http", "gateway/doors", "gateway/doors/rpc"],
  // The engine of WebSockets is Fastify, of which all other rooms import types only.
  "gateway/doors/websocket": [
    "core/…",
    "gateway/http",
    "gateway/http/browsers",
    "gateway/routing",
    "gateway/binding",
    "gateway/faces",
    "gateway/doors",
    "gateway/doors/options",
    "gateway/fastify",
  ],
  "gateway/doors/pages": ["core/…", "gateway/http", "gateway/http/browsers", "gateway/doors"],
  "gateway/faces": ["core/…", "gateway/http", "gateway/routing", "gateway/binding"],
  "gateway/faces/openapi": [
    "core/…",
    "gateway/http",
    "gateway/http/browsers",
    "gateway/binding",
    "gateway/faces",
  ],
  "gateway/faces/docs": ["core/…", "gateway/http", "gateway/http/browsers", "gateway/faces"],
  "gateway/faces/graphql": ["core/…", "gateway/http", "gateway/binding", "gateway/faces"],
  "gateway/faces/mcp": ["core/…", "gateway/http", "gateway/routing", "gateway/binding", "gateway/faces"],
  "gateway/doors/faces": ["core/…", "gateway/http", "gateway/faces", "gateway/doors"],
  "gateway/doors/documents": ["core/…", "gateway/http", "gateway/doors"],
  "gateway/doors/health": ["core/…", "gateway/http", "gateway/doors"],
  "gateway/doors": [
    "core/…",
    "gateway/http",
    "gateway/http/browsers",
    "gateway/routing",
    "gateway/binding",
    "gateway/faces",
    "gateway/doors/…",
  ],

  // What other proxies ask.
  "gateway/authorizer": ["core/…", "gateway/http", "gateway/routing", "gateway/doors"],

  // Loaded by programs with sessions.
  "gateway/session": [
    "core/errors",
    "core/config",
    "core/metadata",
    "core/call",
    "core/admission",
    "core/security",
    "core/redis",
  ],

  // Loaded by programs with files or templates. The engine of files is Fastify.
  "gateway/pages": [
    "core/errors",
    "core/admission",
    "core/config",
    "core/net",
    "gateway/http",
    "gateway/http/browsers",
    "gateway/fastify",
  ],

  "gateway/flags": [
    "core",
    "core/…",
    "gateway/upstreams",
    "gateway",
    "gateway/http",
    "gateway/http3",
    "gateway/http/browsers",
    "gateway/faces",
    "gateway/faces/…",
    "gateway/doors/options",
    "gateway/doors/websocket",
  ],

  // Whom the gateway calls; it uses an assembler of core.
  "gateway/upstreams": ["core", "core/…"],

  // The assembler of the gateway.
  gateway: ["core", "core/…", "gateway/…"],

  // Real time: the live connections of servers.
  "hub/connections": ["core/…"],
  "hub/room": ["core/…", "hub/connections"],
  "hub/bus": ["core/…", "hub/room"],
  "hub/bus/redis": ["core/…", "hub/room", "hub/bus"],
  "hub/bus/workers": ["core/…", "hub/room", "hub/bus"],
  // Loaded by programs whose hub is on NATS.
  "hub/bus/nats": ["core/…", "hub/room", "hub/bus"],
  "hub/nodes": ["core/…", "hub/bus"],
  "hub/presence": ["core/…", "hub/connections", "hub/room", "hub/nodes"],
  "hub/services": ["core/…", "hub/connections", "hub/room"],
  hub: ["core/…", "hub/services", "hub/connections", "hub/room", "hub/presence", "hub/bus", "hub/nodes"],

  // Messages of brokers as calls, and calls as messages; a broker is a room of its own, which its programs load.
  "messaging/memory": ["core/…", "messaging"],
  "messaging/kafka": ["core/…", "messaging"],
  "messaging/nats": ["core/…", "messaging"],
  "messaging/rabbitmq": ["core/…", "messaging"],
  messaging: ["core", "core/…", "messaging/…"],

  // Sagas: steps that are calls, with what undoes them. Loaded by programs that have some.
  saga: ["core/…"],

  // The client of live rpcs, for pages: it has nothing of the server, and nothing of Node.
  "hub-client/call": [],
  "hub-client/links": ["hub-client/call"],
  "hub-client": ["hub-client/call", "hub-client/links"],

  // Effects and messages in one transaction.
  outbox: ["core/…", "messaging"],
  // Events to subscriptions.
  dispatch: ["core", "core/…", "messaging", "outbox"],

  // Services, written as a user writes his.
  services: ["core/…", "hub", "messaging"],

  // Programs: servers, configuration and parts put together. Only entries import it.
  app: [
    "core",
    "core/…",
    "gateway",
    "gateway/…",
    "hub",
    "hub/…",
    "messaging",
    "messaging/…",
    "outbox",
    "dispatch",
    "saga",
    "services",
  ],

  // The command `ts-ms`. Nothing imports it.
  cli: ["core", "core/…", "gateway", "gateway/…", "app"],

  // The sub-paths of the package, one file each; nothing in src imports them.
  entries: [
    "core",
    "core/…",
    "gateway",
    "gateway/…",
    "hub",
    "hub/…",
    "hub-client",
    "hub-client/…",
    "messaging",
    "messaging/…",
    "outbox",
    "dispatch",
    "saga",
    "app",
  ],
};
