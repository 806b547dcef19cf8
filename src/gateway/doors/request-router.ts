import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescService, Registry } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Invoker } from "../../core/call/invoker.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { tell } from "../../core/call/observer.ts";
import type { ForBrowsers } from "../http/browsers/for-browsers.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { Exchange } from "../http/exchange.ts";
import type { HttpObserver } from "../http/http-observer.ts";
import type { BindOptions } from "../binding/bind-options.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import { HealthEndpoints, healthPaths, isHealthPath } from "./health/health-endpoints.ts";
import { HttpError } from "../http/http-error.ts";
import { PolledStreams } from "./rest/rest-routes.ts";
import { answerOtherMethod } from "../http/other-method.ts";
import { PlainReply } from "../http/plain-reply.ts";
import type { ReplyMetadata } from "../http/reply-metadata.ts";
import { BodyReader, type BodyLimits } from "../http/request-body.ts";
import { RequestMetadata } from "../http/request-metadata.ts";
import { RouteTable, type RouteTableOptions } from "./route-table.ts";
import { rpcMark } from "./rpc/rpc-mark.ts";
import { pathOf } from "../http/target-path.ts";
import { asksForWebSocket } from "../http/websocket-handshake.ts";
import type { WebSockets } from "./websocket/web-sockets.ts";
import { malformedPath, type Router, type RouterOptions } from "../routing/router.ts";
import {
  parseServiceConfig,
  type RuleText,
  type ServiceConfig,
} from "../../core/http-rule/service-config.ts";

/** What a `RequestRouter` makes for the routes, or takes from elsewhere than the options. */
type Made =
  | "bind"
  | "bodies"
  | "invoker"
  | "errors"
  | "fileCoding"
  | "forms"
  | "json"
  | "lenientContentType"
  | "onIgnored"
  | "polled"
  | "registry"
  | "replyMetadata"
  | "requestMetadata"
  | "router"
  | "rules"
  | "streamCoding";

/** The options of a gateway that a `RequestRouter` reads. */
export interface RequestRouterOptions
  extends
    BodyLimits,
    Omit<RouteTableOptions, Made>,
    Omit<JsonWriteOptions, "registry">,
    Omit<BindOptions, "registry" | "onIgnored">,
    Omit<RouterOptions, "reservedPaths"> {
  readonly awaitServices: boolean;
  readonly compat: "grpc-gateway" | undefined;
  readonly contentType: "strict" | "lenient";
  readonly healthPaths: boolean;
  readonly healthTimeoutMs: number;
  readonly httpObservers: readonly HttpObserver[];
  readonly registry: Registry | undefined;
  readonly rules: readonly RuleText[];
}

/** Takes over responses that no port of the gateway made. */
interface Guests {
  /** Why answers are to end soon: the server stops. */
  readonly stopping: ConnectError | undefined;
  adopt(request: IncomingMessage, response: ServerResponse): Exchange;
}

/** What a `RequestRouter` works with. */
export interface RequestRouterParts {
  readonly options: RequestRouterOptions;
  /** Makes the calls of the rpcs: with interceptors, observed. */
  readonly invoker: Invoker;
  /** Asks the upstream for its health: neither intercepted nor observed. */
  readonly healthInvoker: Invoker;
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
  /** Answers requests that ask to become a WebSocket. */
  readonly sockets: WebSockets;
  /** Whether the server takes part in balancing. */
  readonly isServing: () => boolean;
  readonly browsers: ForBrowsers;
  /** Takes over responses that no connection of the gateway made. */
  readonly guests: Guests;
}

/** Finds the rpc of every request in the routes of the present, which can be swapped as a whole at any time. */
export class RequestRouter {
  readonly #parts: RequestRouterParts;
  readonly #requestMetadata: RequestMetadata;
  readonly #bodies: BodyReader;
  readonly #polled: PolledStreams;
  readonly #rules: readonly ServiceConfig[];
  readonly #health: HealthEndpoints | undefined;
  #services: readonly DescService[] = [];
  #registry: Registry | undefined;
  #table: RouteTable | undefined;
  #waiting: boolean;

  /** @throws TypeError or Error naming the option that is wrong */
  constructor(parts: RequestRouterParts) {
    this.#parts = parts;
    const { options, errors, isServing } = parts;
    this.#waiting = options.awaitServices;
    this.#requestMetadata = new RequestMetadata({
      forwardHeaders: options.forwardHeaders,
      grpcMetadataPrefix: options.compat === "grpc-gateway",
    });
    this.#bodies = new BodyReader(options);
    this.#polled = new PolledStreams(options);
    this.#rules = options.rules.map(({ text, file }) => parseServiceConfig(text, file));
    this.#useRegistry(options.registry);
    if (options.healthPaths) {
      this.#health = new HealthEndpoints({
        invoker: parts.healthInvoker,
        errors,
        timeoutMs: options.healthTimeoutMs,
        isReady: () => isServing() && !this.#waiting,
      });
    }
  }

  get services(): readonly DescService[] {
    return this.#services;
  }

  /**
   * Adds a service. Rules outside the proto may speak of services yet to come, so with such rules the routes are made
   * when `table` is first asked for, or at once if `now`.
   *
   * @throws Error as `RouteTable`
   */
  add(service: DescService, now: boolean): void {
    const services = [...this.#services, service];
    this.#table = now || this.#rules.length === 0 ? this.#compile(services) : undefined;
    this.#services = services;
    this.#waiting = false;
  }

  /**
   * Serves these services instead of all before, from one request to the next; when it throws, those before.
   *
   * @throws Error as `RouteTable`
   */
  replace(services: readonly DescService[], registry: Registry | undefined): void {
    const before = this.#registry;
    this.#useRegistry(registry ?? this.#parts.options.registry);
    try {
      this.#table = this.#compile(services);
    } catch (error) {
      this.#useRegistry(before);
      throw error;
    }
    this.#services = [...services];
    this.#waiting = false;
  }

  /**
   * The routes of the present.
   *
   * @throws Error as `RouteTable`
   */
  get table(): RouteTable {
    return (this.#table ??= this.#compile(this.#services));
  }

  /** Ends what is kept between requests. */
  close(): void {
    this.#polled.close();
  }

  /**
   * Answers a plain call without the engine's request and reply: a unary rpc, found by its route, that speaks JSON.
   * False for all others, of which it has seen nothing. Never throws.
   */
  readonly answerWhole = (raw: IncomingMessage, exchange: Exchange): boolean => {
    const { method = "", url = "" } = raw;
    const table = this.#loaded();
    if (table === undefined || exchange.upgrade !== undefined || !isPlain(raw)) return false;
    const match = table.router.match(method, url);
    if (match.kind !== "found") return false;
    const { name, whole } = table.entry(match.route);
    if (whole === undefined) return false;
    exchange.route = name;
    whole(match, { raw, method }, new PlainReply(exchange));
    return true;
  };

  /**
   * Refuses a request whose path cannot be decoded, and whose hooks the engine has left out for it; the field is named
   * where the path is known but for that. Never throws.
   */
  readonly refusePath = ({ raw }: FastifyRequest, reply: FastifyReply): void => {
    const match = this.#loaded()?.router.match(raw.method ?? "", raw.url ?? "");
    this.#parts.errors.send(reply, match?.kind === "bad-path" ? match.error : malformedPath());
  };

  /** Answers one request, by whatever server it came. Never throws. */
  readonly serve = (request: FastifyRequest, reply: FastifyReply): void => {
    // Connections of the gateway give each exchange an owner.
    if ((reply.raw as Partial<Exchange>).owner === undefined) this.serveGuest(request, reply);
    else this.#answer(request, reply);
  };

  /** As `serve`, for requests that come by no port of the gateway's own. */
  serveGuest(request: FastifyRequest, reply: FastifyReply): void {
    const { errors, guests } = this.#parts;
    const { refusal } = guests.adopt(request.raw, reply.raw);
    const reason = refusal ?? guests.stopping ?? (asksForWebSocket(request.raw) ? noWebSocket() : undefined);
    if (reason === undefined) this.#answer(request, reply);
    else errors.send(reply, reason);
  }

  /** Whether a request is for an rpc or a path of the gateway; everything is while the routes are still to come. */
  knows({ method = "", url = "" }: IncomingMessage): boolean {
    const table = this.#loaded();
    return (
      table === undefined ||
      table.router.match(method, url).kind !== "not-found" ||
      table.rpcs.methods(url).length > 0 ||
      (this.#health !== undefined && isHealthPath(pathOf(url)))
    );
  }

  #answer(request: FastifyRequest, reply: FastifyReply): void {
    const { errors } = this.#parts;
    const { method = "", url = "" } = request.raw;
    if (url === "*") {
      void reply.code(204).send();
      return;
    }
    if (this.#health?.answer(url, request, reply) === true) return;
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    if (exchange.upgrade !== undefined) {
      this.#parts.sockets.serve(request, reply, this.#loaded);
      return;
    }
    const table = this.#loaded();
    if (table === undefined) {
      errors.send(reply, new ConnectError("the routes of this gateway are not loaded yet", Code.Unavailable));
      return;
    }
    if (table.rpcs.answer(request, reply)) return;
    const match = table.router.match(method, url);
    switch (match.kind) {
      case "found": {
        if (method === "OPTIONS" && this.#parts.browsers.cors?.isPreflight(request.raw) === true) {
          return answerOtherMethod(askedFor(table.router, request.raw), request, reply, errors);
        }
        const entry = table.entry(match.route);
        exchange.route = entry.name;
        entry.handle(match, request, reply);
        return;
      }
      case "method-not-allowed":
        return answerOtherMethod(
          method === "OPTIONS"
            ? [...new Set([...match.allow, ...table.rpcs.methods(url)])].sort()
            : match.allow,
          request,
          reply,
          errors,
        );
      case "bad-path":
        return errors.send(reply, match.error);
      case "not-found":
        return errors.send(reply, new HttpError(404, `no route for ${method} ${pathOf(url)}`));
    }
  }

  /** The routes of the present; undefined while they are still to come. */
  readonly #loaded = (): RouteTable | undefined => (this.#waiting ? undefined : this.#table);

  #compile(services: readonly DescService[]): RouteTable {
    const { options, invoker, errors, replyMetadata, browsers } = this.#parts;
    return new RouteTable(services, {
      ...options,
      streamCoding: browsers.streamCoding,
      fileCoding: browsers.fileCoding,
      forms: browsers.forms,
      polled: this.#polled,
      invoker,
      errors,
      requestMetadata: this.#requestMetadata,
      replyMetadata,
      bodies: this.#bodies,
      bind: options,
      json: options,
      registry: this.#registry,
      lenientContentType: options.contentType === "lenient",
      router: { ...options, reservedPaths: options.healthPaths ? healthPaths : [] },
      rules: this.#rules,
      onIgnored: ignoredTeller(options),
    });
  }

  #useRegistry(registry: Registry | undefined): void {
    this.#registry = registry;
    this.#parts.errors.useRegistry(registry);
  }
}

/** Whether a request can be nothing but a call with JSON, over HTTP/1. */
function isPlain(raw: IncomingMessage): boolean {
  const { method, headers, httpVersionMajor } = raw;
  const { "content-type": type, accept, te } = headers;
  return (
    (type === undefined || type === "application/json") &&
    (accept === undefined || accept === "*/*" || accept === "application/json") &&
    te === undefined &&
    method !== "HEAD" &&
    method !== "OPTIONS" &&
    httpVersionMajor === 1 &&
    rpcMark(raw) === undefined
  );
}

function noWebSocket(): HttpError {
  return new HttpError(501, "WebSockets are served on a port of the gateway's own only");
}

/** The method that a preflight asks for, if there is a route for it: where a route takes OPTIONS, it is not called. */
function askedFor(router: Router, { headers, url = "" }: IncomingMessage): readonly string[] {
  const method = headers["access-control-request-method"] ?? "";
  return router.match(method, url).kind === "found" ? [method] : [];
}

function ignoredTeller({
  httpObservers,
}: Pick<RequestRouterOptions, "httpObservers">):
  | ((route: string, place: "query" | "body", name: string) => void)
  | undefined {
  if (httpObservers.length === 0) return undefined;
  return (route, place, name) => {
    const kind = place === "body" ? "field" : "query";
    tell(httpObservers, (observer) => observer.ignoredUnknown?.(route, kind, 1, name));
  };
}
