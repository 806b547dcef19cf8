import { readFileSync } from "node:fs";
import type { Config } from "../../core/config/loader/config-types.ts";
import { GrpcServer } from "../../core/grpc-server.ts";
import { Cors } from "../../gateway/http/browsers/cors.ts";
import { HttpServer } from "../../gateway/http-server.ts";
import { httpServerDefaults, type HttpServerOptions } from "../../gateway/http-server-options.ts";
import type { PlannedServer } from "../app-plan.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import { hasGrpcPort } from "./upstream-use.ts";

/** The HTTP server, with gRPC on its port if there is one port for everything, and the port that leads to https. */
export function open(kit: SectionKit): SectionParts {
  const { config, mistake } = kit;
  const { enabled, redirectPort } = config.http;
  checkQuic(kit);
  const servers = enabled ? [serverOf(kit)] : [];
  if (redirectPort !== undefined) {
    if (config.tls?.cert === undefined)
      throw mistake("http.redirect_port", "needs tls: there is no https to redirect to");
    if (!enabled) throw mistake("http.redirect_port", "needs http.enabled");
    servers.push(redirectOf(kit, redirectPort));
  }
  let http = httpOptionsOf(kit);
  checkOrigins(kit, http);
  return {
    get http() {
      return http;
    },
    servers,
    async prepare({ next }) {
      const after = httpOptionsOf({ ...kit, config: next });
      checkOrigins(kit, after);
      return () => {
        http = after;
      };
    },
  };
}

function serverOf({ config }: SectionKit): PlannedServer {
  const { host, port } = config.http;
  const onePort = config.app.port;
  if (onePort === undefined) {
    return {
      name: "http",
      after: hasGrpcPort(config) ? ["grpc"] : [],
      make: ({ http }) => withHttp3(config, (door) => new HttpServer({ ...http, ...door, host, port })),
      listens: { host, port, key: "http.port" },
    };
  }
  return {
    name: "http",
    async make({ grpc, http }) {
      const { OnePort } = await import("../one-port.ts");
      return withHttp3(
        config,
        (door) =>
          new OnePort(
            new GrpcServer({ ...grpc, listen: false }),
            (grpcSide) => new HttpServer({ ...http, ...door, host, port: onePort, grpc: grpcSide }),
          ),
      );
    },
    listens: { host, port: onePort, key: "app.port" },
  };
}

/** @throws SetupError naming the key that HTTP/3 needs */
function checkQuic({ config, mistake }: SectionKit): void {
  const { quic, http, grpc, tls, app } = config;
  if (quic?.enabled !== true) return;
  if (!http.enabled) throw mistake("quic.enabled", "needs http.enabled");
  if (tls?.cert === undefined) throw mistake("quic.enabled", "needs tls: QUIC is always encrypted");
  if (tls.client === "optional" || tls.client === "required") {
    throw mistake("quic.enabled", `cannot ask clients for certificates, and tls.client is ${tls.client}`);
  }
  if (quic.keepAlivePeriod * 2 > quic.maxIdleTimeout) {
    throw mistake("quic.keep_alive_period", "is more than half of quic.max_idle_timeout");
  }
  const tcp =
    app.port === undefined ? { "http.port": http.port, "grpc.port": grpc.port } : { "app.port": app.port };
  for (const [key, port] of Object.entries(tcp)) {
    if (port === quic.port && port !== 0) {
      throw mistake("quic.port", `${port} is the port of ${key} too: HTTP/3 needs TCP at its number as well`);
    }
  }
}

/** Makes the HTTP server of the configuration, with HTTP/3 if it is asked for; other servers have none. */
function withHttp3<T>(
  { quic }: Config,
  make: (door: Pick<HttpServerOptions, "http3"> | undefined) => T,
): T | Promise<T> {
  if (quic?.enabled !== true) return make(undefined);
  return import("../../gateway/http3/http3-door.ts").then(({ http3 }) =>
    make({
      http3: http3({
        host: quic.host,
        port: quic.port,
        maxStreams: quic.maxStreams,
        maxIdleTimeoutMs: quic.maxIdleTimeout,
        keepAlivePeriodMs: quic.keepAlivePeriod,
        maxConnections: quic.maxConnections,
        retry: quic.retry,
        earlyData: oneOf(["refuse", "safe"], quic.earlyData),
      }),
    }),
  );
}

function redirectOf({ config }: SectionKit, port: number): PlannedServer {
  const { host, allowedHosts } = config.http;
  const httpsPort = config.app.port ?? config.http.port;
  return {
    name: "redirect",
    async make() {
      const { RedirectServer } = await import("../redirect-server.ts");
      return new RedirectServer({ host, port, httpsPort, allowedHosts });
    },
    listens: { host, port, key: "http.redirect_port" },
  };
}

/** The keys whose options need no more than their value. */
function httpOptionsOf({ config, mistake }: SectionKit): Partial<HttpServerOptions> {
  const { http, grpc, gateway } = config;
  const { cors } = http;
  if (http.maxTimeout > 0 && http.timeout > http.maxTimeout) {
    throw mistake(
      "http.timeout",
      "is longer than http.max_timeout, which bounds it: raise http.max_timeout too",
    );
  }
  return {
    defaultTimeoutMs: http.timeout,
    maxTimeoutMs: http.maxTimeout,
    headersTimeoutMs: http.headerTimeout,
    bodyTimeoutMs: http.readTimeout,
    bodyIdleMs: http.bodyIdle,
    writeIdleMs: http.writeTimeout,
    keepAliveTimeoutMs: http.idleTimeout,
    maxHeaderBytes: http.maxHeaderBytes,
    maxUrlBytes: http.maxUrlBytes,
    maxBodyBytes: http.maxBodyBytes,
    maxHeaderFields: http.maxHeaderFields,
    maxConcurrentStreams: http.maxConcurrentStreams,
    allowedHosts: http.allowedHosts.length === 0 ? undefined : http.allowedHosts,
    trustedProxies: http.trustedProxies,
    forwardHeaders: http.forwardHeaders,
    errorFormat: oneOf(["status", "google", "problem"], http.errorFormat),
    unknownQuery: oneOf(["ignore", "reject"], http.unknownQuery),
    unknownFields: oneOf(["ignore", "reject"], http.unknownFields),
    unknownEnums: oneOf(["reject", "ignore"], http.unknownEnums),
    maxJsonEntries: http.maxJsonEntries,
    contentType: oneOf(["strict", "lenient"], http.contentType),
    compression: http.compression,
    etag: http.etag,
    securityHeaders: oneOf(["basic", "off", "strict"], http.securityHeaders),
    earlyData: oneOf(["refuse", "safe"], config.quic?.earlyData),
    altSvc: http.altSvc && {
      port: http.altSvc.port,
      maxAgeSeconds: Math.floor(http.altSvc.maxAge / 1000),
      persist: http.altSvc.persist,
    },
    corsOrigins: cors?.origins ?? [],
    corsCredentials: cors?.credentials ?? false,
    ...(cors === undefined ? {} : { corsMaxAgeMs: cors.maxAge }),
    dialOptions: { maxMessageBytes: grpc.maxSendMsgSize },
    rules: (gateway?.rules ?? []).map((file) => ({ file, text: readFileSync(file, "utf8") })),
    ruleMode: oneOf(["replace", "add"], gateway?.ruleMode),
    onBadRule: oneOf(["refuse", "skip"], gateway?.onBadRule),
    comments: commentsOf(config),
  };
}

/** @throws SetupError naming the key of what cannot be used */
function checkOrigins({ mistake }: SectionKit, options: Partial<HttpServerOptions>): void {
  try {
    void new Cors({ ...httpServerDefaults, ...options });
  } catch (error) {
    throw mistake("http.cors.origins", error instanceof Error ? error.message : String(error));
  }
}

/** The word that the loader has accepted; the first one where the section is missing. */
function oneOf<const W extends string>(words: readonly [W, ...W[]], text: string | undefined): W {
  return words.find((word) => word === text) ?? words[0];
}

/** Where comments are: sets that are served have their own. */
function commentsOf({ gateway, upstreams }: Config): readonly string[] {
  const ofUpstreams = Object.values(upstreams).flatMap(({ contract }) => contract?.descriptors ?? []);
  return [...(gateway?.descriptors ?? []), ...ofUpstreams, ...(gateway?.comments ?? [])];
}
