import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import {
  type Client,
  createClient,
  createContextKey,
  type ContextKey,
  type Transport,
} from "@connectrpc/connect";
import {
  Authorization,
  type CheckResponse,
  type OkHttpResponse,
} from "../../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CallHead } from "../../admission/call-head.ts";
import type { Gate } from "../../admission/gate.ts";
import { checkBody } from "../../call/body-check.ts";
import { rpcName } from "../../call/service.ts";
import { toCallError } from "../../errors/errors.ts";
import { Selector } from "../../policy/selector.ts";
import { AnswerCache } from "./answer-cache.ts";
import { type BodyPart, checkRequestOf } from "./check-request.ts";
import { denial, unavailable } from "./denial.ts";
import { type AuthorizerOutcome, type ExtAuthzOptions, extAuthzOptions } from "./ext-authz-options.ts";
import { changeHeaders, removeHeaders } from "./header-changes.ts";
import { changeQuery } from "./query-changes.ts";

/** Context value with the `dynamic_metadata` of an authorizer's answer. */
export const authorizerMetadataKey: ContextKey<JsonObject | undefined> = createContextKey<
  JsonObject | undefined
>(undefined, { description: "what the authorizer says of the call" });

/**
 * A gate that asks a service about each call: `envoy.service.auth.v3.Authorization`, as Envoy's filter `ext_authz` does.
 *
 * An answer may deny a call with status, headers and body of its own, and may change headers and query of one that it
 * lets pass.
 *
 * @param transport to the service, such as `dial("authorizer:9001")`
 * @throws SetupError naming the option that cannot be used
 */
export function extAuthzGate(transport: Transport, options: Partial<ExtAuthzOptions> = {}): Gate {
  return new ExtAuthzGate(transport, extAuthzOptions(options));
}

class ExtAuthzGate implements Gate {
  readonly name = "ext_authz";
  readonly #options: ExtAuthzOptions;
  readonly #client: Client<typeof Authorization>;
  readonly #selectors: readonly Selector[];
  readonly #cache: AnswerCache | undefined;

  constructor(transport: Transport, options: ExtAuthzOptions) {
    this.#options = { ...options, headers: options.headers.map((name) => name.toLowerCase()) };
    this.#client = createClient(Authorization, transport);
    this.#selectors = options.rpc.map((text) => new Selector(text));
    const remembers = options.cacheTtlMs > 0 && options.includeBodyBytes === 0;
    this.#cache = remembers ? new AnswerCache(options.cacheTtlMs) : undefined;
  }

  concerns(method: DescMethod): boolean {
    return this.#selectors.length === 0 || this.#selectors.some((selector) => selector.matches(method));
  }

  admit(call: CallHead): void | Promise<void> {
    const { includeBodyBytes } = this.#options;
    if (includeBodyBytes === 0) return this.#ask(call, undefined);
    const isDeferred = checkBody(call, (body) =>
      this.#ask(call, {
        bytes: body.subarray(0, includeBodyBytes),
        isPartial: body.length > includeBodyBytes,
      }),
    );
    return isDeferred ? undefined : this.#ask(call, undefined);
  }

  async #ask(call: CallHead, body: BodyPart | undefined): Promise<void> {
    const request = checkRequestOf(call, this.#options, body);
    const key = this.#cache?.keyOf(request);
    const known = key === undefined ? undefined : this.#cache?.get(key, performance.now());
    if (known !== undefined) {
      this.#decide(known, call, undefined);
      return;
    }
    const { timeoutMs } = this.#options;
    const since = performance.now();
    let response: CheckResponse;
    try {
      response = await this.#client.check(request, { timeoutMs, signal: call.context.signal });
    } catch (reason) {
      this.#fail(call, since, undefined, toCallError(reason));
      return;
    }
    if (response.httpResponse.case === "errorResponse") {
      this.#fail(call, since, response, undefined);
      return;
    }
    if (key !== undefined) this.#cache?.set(key, response, performance.now());
    this.#decide(response, call, since);
  }

  #decide(response: CheckResponse, call: CallHead, since: number | undefined): void {
    const { status, httpResponse } = response;
    // Envoy lets a call pass whose status is OK, whatever the answer says beside: here a denial is one.
    const isAllowed = status?.code === 0 && httpResponse.case !== "deniedResponse";
    this.#count(since === undefined ? "remembered" : isAllowed ? "allowed" : "denied", since);
    if (!isAllowed) throw denial(httpResponse.case === "deniedResponse" ? httpResponse.value : undefined);
    if (httpResponse.case === "okResponse") this.#apply(httpResponse.value, call);
    const metadata = response.dynamicMetadata;
    if (metadata !== undefined) call.context.values.set(authorizerMetadataKey, metadata);
  }

  #apply(answer: OkHttpResponse, call: CallHead): void {
    const { context } = call;
    const ignored = (name: string): void => this.#options.books?.ignored?.(name);
    if (answer.headersToRemove.length > 0)
      removeHeaders(context.requestHeader, answer.headersToRemove, ignored);
    if (answer.headers.length > 0) changeHeaders(context.requestHeader, answer.headers, ignored);
    if (answer.responseHeadersToAdd.length > 0) {
      changeHeaders(context.responseHeader, answer.responseHeadersToAdd, ignored);
    }
    if (answer.queryParametersToSet.length + answer.queryParametersToRemove.length > 0)
      changeQuery(context, answer);
    if (answer.dynamicMetadata !== undefined)
      context.values.set(authorizerMetadataKey, answer.dynamicMetadata);
  }

  /** There is no answer, or one that says so. */
  #fail(call: CallHead, since: number, response: CheckResponse | undefined, error: unknown): void {
    const { onFailure, logger } = this.#options;
    if (onFailure === "deny") {
      this.#count("failed", since);
      const answer = response?.httpResponse;
      throw unavailable(answer?.case === "errorResponse" ? answer.value : undefined);
    }
    this.#count("failed_open", since);
    logger?.warn(
      { rpc: rpcName(call.method), err: error },
      "the authorizer does not answer: a call passes without it",
    );
  }

  #count(outcome: AuthorizerOutcome, since: number | undefined): void {
    this.#options.books?.asked(outcome, since === undefined ? undefined : (performance.now() - since) / 1000);
  }
}
