import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type {
  AttributeContext,
  AttributeContext_HttpRequest,
} from "../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import {
  Authorization,
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
  DeniedHttpResponseSchema,
} from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import {
  HeaderValueOption_HeaderAppendAction as Action,
  HeaderValueOptionSchema,
} from "../../../gen/envoy/config/core/v3/base_pb.ts";
import type { StatusCode } from "../../../gen/envoy/type/v3/http_status_pb.ts";
import { Admission, type Admit } from "../../core/admission/admission.ts";
import type { CallSource } from "../../core/admission/arrived-call.ts";
import type { DoorName } from "../../core/admission/call-head.ts";
import { ClientAddresses } from "../../core/admission/client-address.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { CallContext } from "../../core/call/context.ts";
import { FaultLog, type FaultLogOptions } from "../../core/call/fault-log.ts";
import { type AnyService, rpcName, type Service } from "../../core/call/service.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import { httpStatusOf } from "../../core/errors/http-status.ts";
import { badRuleDefaults } from "../../core/http-rule/rule-refusals.ts";
import { parseServiceConfig, type RuleText } from "../../core/http-rule/service-config.ts";
import { isIdentityHeader } from "../../core/metadata/identity-headers.ts";
import { isReservedHeader } from "../../core/metadata/reserved-headers.ts";
import { type Principal, principal } from "../../core/security/principal.ts";
import { newCall } from "../doors/open-call.ts";
import { ServedRpcs } from "../doors/served-rpcs.ts";
import { asStatus, detailsToJson } from "../http/error-body.ts";

/** Who decides: what `createSecurity` gives, or gates by hand. */
export interface Decider {
  /** Asked about each call in this order. */
  readonly gates: readonly Gate[];
  /** Whether a rule of the rpc reads the message: calls of such an rpc are denied. Default: no rule does. */
  readonly readsMessage?: (method: DescMethod) => boolean;
}

/** Options of `extAuthz`. */
export interface ExtAuthzServiceOptions extends Partial<FaultLogOptions> {
  /** The services behind the proxy. */
  readonly services: readonly (DescService | AnyService)[];
  /** Rules outside the proto, as of `HttpServer`. Default: none. */
  readonly rules?: readonly RuleText[];
}

/**
 * A service that answers the filter `ext_authz` of Envoy, Istio and others: the gates that decide on calls of this
 * process decide on calls that pass another proxy.
 *
 * Method and path of a request are looked up as a gateway does; a request without an rpc is denied. A call that may pass
 * gets the headers `x-auth-id`, `x-auth-scopes` and `x-auth-roles`, in place of every identity header that came with it.
 *
 * @throws SetupError for rules that are wrong
 */
export function extAuthz(decider: Decider, options: ExtAuthzServiceOptions): Service<typeof Authorization> {
  const asked = new AskedRpcs(decider, options);
  return {
    descriptor: Authorization,
    check: async (request, context) => {
      try {
        // Handlers get the contexts of this package.
        return await asked.decide(request, context as CallContext);
      } catch (reason) {
        return denied(toCallError(reason), isGrpc(request.attributes?.request?.http));
      }
    },
  };
}

/** The time of a question is that of its call. */
const noLimits = Object.freeze({ defaultTimeoutMs: 0, maxTimeoutMs: 0 });

/** The rpcs that the proxy passes on, and who decides on their calls. */
class AskedRpcs {
  readonly #rpcs: ServedRpcs;
  readonly #admission: Admission;
  readonly #decider: Decider;
  readonly #admits = new Map<DescMethod, Admit | undefined>();

  constructor(decider: Decider, { services, rules = [], logger }: ExtAuthzServiceOptions) {
    this.#decider = decider;
    this.#rpcs = ServedRpcs.of(
      services.map((service) => ("descriptor" in service ? service.descriptor : service)),
      undefined,
      {
        ...badRuleDefaults,
        router: {},
        rules: rules.map(({ text, file }) => parseServiceConfig(text, file)),
        ruleMode: "replace",
      },
    );
    this.#admission = new Admission({
      gates: decider.gates,
      observers: [],
      faults: new FaultLog({ logger }),
      addresses: new ClientAddresses([]),
    });
  }

  /** @throws ConnectError for a call that is refused */
  async decide({ attributes }: CheckRequest, asking: CallContext): Promise<CheckResponse> {
    const http = attributes?.request?.http;
    if (
      attributes === undefined ||
      http === undefined ||
      http.method === "" ||
      !/^\/[^#\s]*$/.test(http.path)
    ) {
      throw new ConnectError("the authorizer was asked about no HTTP request", Code.InvalidArgument);
    }
    const { method, route } = this.#rpcOf(http);
    if (this.#decider.readsMessage?.(method) === true) {
      throw new ConnectError(
        `a rule of ${rpcName(method)} reads the message, which an authorizer does not see`,
        Code.PermissionDenied,
      );
    }
    const door = doorOf(http);
    const requestHeader = metadataOf(http);
    const before = new Headers(requestHeader);
    const kind = {
      method,
      protocolName: door,
      limits: noLimits,
      admit: undefined,
      observers: [],
      reports: undefined,
      countsBytes: false,
    };
    const request = {
      peer: undefined,
      method: http.method,
      url: http.path,
      arrivedAt: undefined,
      requestId: undefined,
    };
    const context = newCall(kind, request, undefined, () => requestHeader);
    context.join(asking);
    try {
      await this.#admitOf(method)?.(door, sourceOf(attributes, http), context, route);
      return allowed(context, before);
    } finally {
      context.end();
    }
  }

  #rpcOf(http: AttributeContext_HttpRequest): { readonly method: DescMethod; readonly route?: string } {
    const byName = this.#rpcs.at(http.path);
    if (isGrpc(http)) {
      if (byName !== undefined && http.method === "POST") return { method: byName };
      throw new ConnectError(`there is no rpc ${http.path}`, Code.Unimplemented);
    }
    const match = this.#rpcs.router.match(http.method, http.path);
    if (match.kind === "found") return { method: match.route.method, route: match.route.template.text };
    if (byName !== undefined && this.#rpcs.methodsAt(http.path).includes(http.method))
      return { method: byName };
    if (match.kind === "bad-path") throw match.error;
    throw new ConnectError("no rpc has this method and path", Code.NotFound);
  }

  #admitOf(method: DescMethod): Admit | undefined {
    if (!this.#admits.has(method)) this.#admits.set(method, this.#admission.of(method));
    return this.#admits.get(method);
  }
}

/** The call may pass, as the gates have changed it. */
function allowed(context: CallContext, before: Headers): CheckResponse {
  const set = new Map(identityOf(principal(context)));
  const remove: string[] = [];
  for (const name of before.keys()) {
    if (!set.has(name) && (isIdentityHeader(name) || !context.requestHeader.has(name))) remove.push(name);
  }
  for (const [name, value] of context.requestHeader) {
    if (before.get(name) !== value && !isReservedHeader(name)) set.set(name, value);
  }
  const toClient = [...(context.responseHeaderIfAny ?? [])].filter(([name]) => !isReservedHeader(name));
  return create(CheckResponseSchema, {
    status: { code: 0 },
    httpResponse: {
      case: "okResponse",
      value: {
        headers: [...set].map(([name, value]) => overwrite(name, value)),
        headersToRemove: remove,
        responseHeadersToAdd: toClient.map(([name, value]) => overwrite(name, value)),
      },
    },
  });
}

function identityOf(who: Principal | undefined): (readonly [name: string, value: string])[] {
  if (who === undefined) return [];
  const all: (readonly [string, string])[] = [
    ["x-auth-id", who.id],
    ["x-auth-scopes", [...who.scopes].join(" ")],
    ["x-auth-roles", [...who.roles].join(",")],
  ];
  return all.filter(([, value]) => value !== "").map(([name, value]) => [name, headerText(value)]);
}

/** A text that a header can hold: what it cannot is percent-encoded. */
function headerText(text: string): string {
  return text.replaceAll(/[^ -~]|%/gu, (character) => encodeURIComponent(character));
}

/** The answer for a call that is refused: what a gateway would answer. */
function denied(error: ConnectError, grpc: boolean): CheckResponse {
  const code = httpStatusOf(error.code);
  const { contentType, body } = grpc
    ? { contentType: "text/plain", body: error.rawMessage } // Envoy makes it the `grpc-message`.
    : asStatus(error, code, detailsToJson(error, undefined));
  const fields = [...error.metadata].filter(([name]) => !isReservedHeader(name));
  if (code === 401 && !error.metadata.has("www-authenticate")) fields.push(["www-authenticate", "Bearer"]);
  const value = create(DeniedHttpResponseSchema, {
    // Statuses that the short copy of the contract does not name are numbers like the others. gRPC's code 12 is 404
    // there: Envoy turns it back into 12.
    status: { code: (grpc && error.code === Code.Unimplemented ? 404 : code) as StatusCode },
    headers: [["content-type", contentType] as const, ...fields].map(([name, text]) => overwrite(name, text)),
    body,
  });
  return create(CheckResponseSchema, {
    status: { code: error.code, message: error.rawMessage },
    httpResponse: { case: "deniedResponse", value },
  });
}

function overwrite(key: string, value: string) {
  return create(HeaderValueOptionSchema, {
    header: { key, value },
    appendAction: Action.OVERWRITE_IF_EXISTS_OR_ADD,
  });
}

function isGrpc(http: AttributeContext_HttpRequest | undefined): boolean {
  return /^application\/grpc(?:\+|;|$)/.test(http?.headers["content-type"] ?? "");
}

function doorOf(http: AttributeContext_HttpRequest): DoorName {
  if (isGrpc(http)) return "grpc";
  const type = http.headers["content-type"] ?? "";
  if (type.startsWith("application/grpc-web")) return "grpc-web";
  const isConnect =
    type.startsWith("application/connect+") || http.headers["connect-protocol-version"] !== undefined;
  return isConnect ? "connect" : "rest";
}

/** The headers of the request that a service would see; pseudo headers are not among them. */
function metadataOf({ headers }: AttributeContext_HttpRequest): Headers {
  const metadata = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (isReservedHeader(name)) continue;
    try {
      metadata.set(name, value);
    } catch {
      // No header of HTTP: a service would not get it either.
    }
  }
  return metadata;
}

function sourceOf({ source }: AttributeContext, http: AttributeContext_HttpRequest): CallSource {
  const address = source?.address?.address;
  return {
    head: { method: http.method, url: http.path, headers: { ...http.headers, ":authority": http.host } },
    isSecure: http.scheme === "https",
    remoteAddress: address?.case === "socketAddress" ? address.value.address : undefined,
  };
}
