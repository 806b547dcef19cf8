import type { Registry } from "@bufbuild/protobuf";
import { Admission } from "../core/admission/admission.ts";
import { CallReports } from "../core/admission/call-reports.ts";
import { ClientAddresses } from "../core/admission/client-address.ts";
import type { ServerBook } from "../core/admission/connection-book.ts";
import type { Gate, GateDocument } from "../core/admission/gate.ts";
import { FaultLog } from "../core/call/fault-log.ts";
import { interceptInvoker } from "../core/call/invoker.ts";
import { toCallError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { RequestIds } from "../core/metadata/request-id.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { isLoopback } from "../core/net/loopback.ts";
import type { OpenConnection } from "../core/net/open-connections.ts";
import { pathOf } from "../core/net/request-target.ts";
import { JoinedRegistry } from "../core/schema/joined-registry.ts";
import { Validation } from "../core/validation/validation.ts";
import { EarlyData } from "./connections/early-data.ts";
import { giveRequestIds, type IsTrusted } from "./connections/give-request-ids.ts";
import { GuestExchanges } from "./connections/guest-exchanges.ts";
import type { ExchangeHooks } from "./connections/live-exchange.ts";
import { observeExchanges } from "./connections/observe-exchanges.ts";
import { PortServer } from "./connections/port-server.ts";
import { both, type ExchangeKeeper } from "./connections/stop-exchanges.ts";
import type { Http3Kit, Http3Side } from "./http3/http3-kit.ts";
import { refusedExchanges, type RequestPurpose } from "./connections/refused-exchange.ts";
import { healthPaths } from "./doors/health/health-door.ts";
import { observeInvoker } from "../core/call/observe-invoker.ts";
import { RequestRouter } from "./doors/request-router.ts";
import { watchInvoker } from "./doors/watch-invoker.ts";
import { commentsFrom } from "./faces/comment-files.ts";
import { FaceSet } from "./faces/face-set.ts";
import type { Entry } from "./fastify/entry.ts";
import { HttpEngine } from "./fastify/http-engine.ts";
import { AltSvc } from "./http/alt-svc.ts";
import { ForBrowsers } from "./http/browsers/for-browsers.ts";
import { ErrorWriter } from "./http/error-writer.ts";
import { OriginCheck } from "./http/origin-check.ts";
import { ReplyMetadata } from "./http/reply-metadata.ts";
import { BodyReader } from "./http/request-body.ts";
import { RequestMetadata } from "./http/request-metadata.ts";
import type { CompleteHead } from "./http/response-head.ts";
import { doorOptions, type HttpServerOptions } from "./http-server-options.ts";
import { upstreamInvoker, type Upstream } from "../core/upstream/upstream.ts";

/** What the parts ask of their server while it runs. */
export interface RunningServer {
  /** Whether it takes calls: it is ready, and neither draining nor suspended. */
  isServing(): boolean;
  /** Path prefix of the rpcs in the app that has registered the server as a plugin; undefined while there is none. */
  prefix(): string | undefined;
}

/** The parts of a gateway, each with the others that it needs. */
export class HttpServerParts {
  /** One object for all parts, of which `reload` changes members. */
  readonly #options: HttpServerOptions;
  readonly #addresses: ClientAddresses;
  readonly #browsers: ForBrowsers;
  /** What says that HTTP/3 is served; undefined for a server that never does. */
  readonly altSvc: AltSvc | undefined;
  readonly #faults: FaultLog;
  readonly #requestIds: RequestIds | undefined;
  readonly #validation: Validation | undefined;
  readonly #hooks: ExchangeHooks;
  readonly #stopping = new AbortController();
  readonly #errors: ErrorWriter;
  #admission: Admission | undefined;
  /** HTTP/3, once its port is bound; undefined without it. */
  http3: Http3Side | undefined;
  /** What all exchanges have, around what completes their heads for browsers. */
  readonly #hooksWith: (complete: CompleteHead | undefined) => ExchangeHooks;
  /** The connections of the server in the book of its hub; undefined without one. */
  readonly book: ServerBook | undefined;
  readonly upstream: Pick<Upstream, "close" | "describe">;
  readonly port: PortServer;
  readonly guests: GuestExchanges;
  readonly faces: FaceSet | undefined;
  readonly router: RequestRouter;
  /** What decides about requests in early data. */
  readonly early: EarlyData;
  /** How requests reach the doors. */
  readonly entry: Entry;
  readonly engine: HttpEngine;

  /** @throws TypeError or Error naming the invalid option */
  constructor(options: HttpServerOptions, server: RunningServer) {
    this.#options = options;
    const { errorFormat, challenge, observers, validation } = options;
    const { metadata, requestIds } = doorOptions(options);
    this.#requestIds = requestIds;
    this.#faults = new FaultLog(options);
    this.#validation = validation === undefined ? undefined : new Validation("HttpServer", validation);
    const replyMetadata = new ReplyMetadata({
      dropResponseHeaders: metadata.dropResponseHeaders,
      grpcMetadataPrefix: options.compat === "grpc-gateway",
    });
    const errors = new ErrorWriter({ errorFormat, challenge, metadata: replyMetadata, faults: this.#faults });
    this.#browsers = new ForBrowsers(options);
    const altSvc = (this.altSvc = altSvcOf(options));
    const upstream = upstreamInvoker(options);
    this.upstream = upstream;
    const addresses = (this.#addresses = new ClientAddresses(options.trustedProxies));
    this.book = options.hub?.attach();
    this.#admission = this.#admissionOf(options);
    const isTrusted: IsTrusted = ({ remoteAddress }) => addresses.isProxy(remoteAddress);
    const purpose: RequestPurpose = {
      rpcOf: (head) => this.router.rpcOf(head),
      faceOf: ({ url }) => this.faces?.protocolAt(pathOf(url)),
    };
    const refused = refusedExchanges(observers, purpose, addresses);
    this.#hooksWith = (complete) =>
      observeExchanges(
        { observers: options.httpObservers, refused },
        addresses,
        giveRequestIds(requestIds, isTrusted, altSvc?.completing(complete) ?? complete),
      );
    const hooks = this.#hooksWith(this.#browsers.completeHead);
    this.#hooks = hooks;
    this.#errors = errors;
    this.early = new EarlyData({
      policy: options.earlyData,
      isProxy: (remote) => addresses.isProxy(remote),
      rpcOf: (head) => this.router.rpcOf(head),
      errors,
    });
    this.guests = new GuestExchanges(options, hooks);
    this.port = new PortServer(options, errors, hooks);
    const bodies = new BodyReader(options);
    this.faces = this.#facesOf(bodies, errors, server);
    this.router = this.#routerOf({ bodies, errors, replyMetadata, upstream, server });
    this.entry = {
      serve: this.router.serve,
      adopt: (request, response) => {
        const { exchange, refusal } = this.guests.adopt(request, response);
        return { exchange, refusal: refusal ?? this.early.problem(exchange) };
      },
      errors,
    };
    this.engine = new HttpEngine({
      ...this.entry,
      port: this.port,
      admitsEarly: (exchange) => this.early.admits(exchange),
      choose: this.router.choose,
      maxBodyBytes: options.maxBodyBytes,
      maxUrlBytes: options.maxUrlBytes,
      prepare: () => void this.router.rpcs, // Throws for invalid rules and routes.
      addHooks: this.#browsers.hooks,
    });
  }

  /** Loads and compiles what decides on calls. */
  async prepare(): Promise<void> {
    await this.#validation?.load();
    await this.#admission?.ready();
  }

  /** Opens the door of HTTP/3, if there is one. @throws SetupError or Error naming what is in its way */
  async openHttp3(): Promise<void> {
    const { http3: door, host } = this.#options;
    const { tls } = this.port;
    if (door === undefined || tls === undefined) return;
    const number = workerId() ?? 0;
    // One process can have the port, the first worker; the others say where it is.
    if (number > 1) {
      if (door.options.port !== 0) this.altSvc?.offer(door.options.port);
      return;
    }
    const kit: Http3Kit = {
      host,
      limits: this.#options,
      errors: this.#errors,
      hooks: this.#hooks,
      early: this.early,
      certificates: tls,
      serve: this.engine.serve,
    };
    const opened = (side: Http3Side): void => {
      this.http3 = side;
      this.altSvc?.offer(side.address.port);
    };
    if (number === 0) opened(await door.listen(kit));
    else {
      const { takeOver } = await import("./http3/take-over.ts");
      const failed = (error: unknown): void => this.#faults.request(toCallError(error), "HTTP/3");
      await takeOver(door, kit, opened, failed, this.#stopping.signal);
    }
  }

  /** HTTP/3 takes no new requests. */
  refuseHttp3(): void {
    this.#stopping.abort();
    this.http3?.refuseNew();
  }

  /** All that has exchanges in flight. */
  get keepers(): ExchangeKeeper {
    const ofPort = both(this.port, this.guests);
    return this.http3 === undefined ? ofPort : both(ofPort, this.http3);
  }

  /** As `prepare`, for rpcs that are served already: their calls wait, and what fails is logged. */
  prepareMore(): void {
    this.#validation?.load().catch((error: unknown) => {
      this.#faults.request(toCallError(error), "the rules of messages");
    });
    this.#admission?.ready().catch((error: unknown) => {
      this.#faults.request(toCallError(error), "the gates");
    });
  }

  /**
   * Serves the requests that come from now on by other options, see `HttpServer.reload`.
   *
   * @throws SetupError naming the option that cannot be used; nothing has changed then
   */
  reload(given: Partial<HttpServerOptions>): void {
    const next: HttpServerOptions = { ...this.#options, ...given };
    void new OriginCheck(next.allowedOrigins); // Throws for entries that are wrong.
    const trustProxies = this.#addresses.prepare(next.trustedProxies);
    const admission = (this.#admission = this.#admissionOf(next));
    this.#browsers.use(next);
    trustProxies();
    Object.assign(this.#options, given);
    const { completeHead } = this.#hooksWith(this.#browsers.completeHead);
    this.port.completeHeads(completeHead);
    this.http3?.completeHeads(completeHead);
    this.guests.completeHead = completeHead;
    const requestIds = this.#requestIds;
    if (requestIds !== undefined && next.requestId !== undefined) requestIds.policy = next.requestId;
    this.router.reload({
      ...doorOptions(next),
      requestIds,
      gateDocuments: gateDocuments(next.gates),
      admission,
    });
  }

  /** What decides on calls; undefined without a gate. */
  #admissionOf({ gates: own, observers }: HttpServerOptions): Admission | undefined {
    const gates = this.book === undefined ? own : [...own, this.book.gate];
    if (gates.length === 0) return undefined;
    return new Admission({ gates, observers, faults: this.#faults, addresses: this.#addresses });
  }

  #facesOf(bodies: BodyReader, errors: ErrorWriter, server: RunningServer): FaceSet | undefined {
    const options = this.#options;
    let connections: () => readonly OpenConnection[] = () => [];
    const faces = FaceSet.of(options.faces, {
      ...options,
      json: options,
      bodies,
      errors,
      live: () => options,
      isLocal: () => server.prefix() === undefined && isLoopback(options.host),
      document: (path) => gateDocuments(options.gates)?.(path),
      connections: () => connections(),
      prefix: () => server.prefix() ?? "",
    });
    if (faces !== undefined && faces.watchers.length > 0) connections = this.port.listConnections();
    return faces;
  }

  #routerOf(parts: {
    readonly bodies: BodyReader;
    readonly errors: ErrorWriter;
    readonly replyMetadata: ReplyMetadata;
    readonly upstream: Upstream;
    readonly server: RunningServer;
  }): RequestRouter {
    const options = this.#options;
    const { observers, interceptors } = options;
    const { invoker } = parts.upstream;
    const observed = observeInvoker(interceptInvoker(invoker, interceptors), observers, this.#faults);
    return new RequestRouter({
      kit: {
        ...doorOptions(options),
        requestIds: this.#requestIds,
        gateDocuments: gateDocuments(options.gates),
        faces: this.faces,
        comments: commentsFrom(options.comments),
        pages: options.pages?.files,
        reports: CallReports.of(observers, this.#addresses),
        admission: this.#admission,
        book: this.book,
        addresses: this.#addresses,
        invoker: watchInvoker(observed, this.faces?.watchers ?? []),
        observers,
        validation: this.#validation,
        healthInvoker: invoker.unobserved ?? invoker,
        errors: parts.errors,
        requestMetadata: new RequestMetadata({
          forwardHeaders: options.forwardHeaders,
          grpcMetadataPrefix: options.compat === "grpc-gateway",
        }),
        replyMetadata: parts.replyMetadata,
        bodies: parts.bodies,
        browsers: this.#browsers,
      },
      routing: {
        router: { ...options, reservedPaths: reservedPaths(options) },
        ruleMode: options.ruleMode,
        onBadRule: options.onBadRule,
        onSkippedRule: options.onSkippedRule,
      },
      rules: options.rules,
      registry: withTypesOf(options.hub, options.registry),
      only: options.only,
      awaitServices: options.awaitServices,
      isServing: () => parts.server.isServing(),
    });
  }
}

/** What says that HTTP/3 is served; undefined where nothing ever does. */
function altSvcOf({ altSvc, http3 }: HttpServerOptions): AltSvc | undefined {
  if (altSvc === false) return undefined;
  return altSvc === undefined && http3 === undefined ? undefined : new AltSvc(altSvc);
}

/** Paths that no rule may use. */
function reservedPaths({ healthPaths: hasHealth, gates, faces }: HttpServerOptions): readonly string[] {
  return [
    ...(hasHealth ? healthPaths : []),
    ...faces.flatMap(({ paths }) => paths),
    ...gates.flatMap(({ documents = {} }) => Object.keys(documents)),
  ];
}

/** Finds the documents of gates; a reload of a gate may change them. */
function gateDocuments(gates: readonly Gate[]): ((path: string) => GateDocument | undefined) | undefined {
  const sources = gates.filter((gate) => "documents" in gate);
  if (sources.length === 0) return undefined;
  return (path) => {
    for (const { documents = {} } of sources) if (Object.hasOwn(documents, path)) return documents[path];
    return undefined;
  };
}

/**
 * The hub of a gateway: its own, or that of the server that it calls in process.
 *
 * @throws SetupError where they are two
 */
export function hubOf({ hub, upstream, dial }: Partial<HttpServerOptions>): HttpServerOptions["hub"] {
  const isBehind = typeof upstream === "object" && "dispatcher" in upstream && dial !== "network";
  const behind = isBehind ? upstream.hub : undefined;
  if (hub === undefined || behind === undefined || hub === behind) return hub ?? behind;
  throw new SetupError(
    "HttpServer: hub: the server that is called in process has another hub: give both the same one",
  );
}

/** Types of messages, with those that rooms of a hub have. */
export function withTypesOf(
  hub: HttpServerOptions["hub"],
  registry: Registry | undefined,
): Registry | undefined {
  const types = hub?.types;
  if (types === undefined || registry === undefined) return registry ?? types;
  const joined = new JoinedRegistry();
  joined.use([registry, types]);
  return joined;
}
