import type {
  HedgeConfig,
  PolicyConfig,
  RetryConfig,
  CircuitBreakerConfig,
} from "../../../gen/ts_ms/config/v1/clients_pb.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import type {
  CircuitBreakerInit,
  HedgeInit,
  MethodPolicyInit,
  RetryInit,
  SelectedPolicy,
} from "../../core/policy/method-policy.ts";
import { readSelected } from "../../core/policy/selected-policies.ts";
import { given } from "./given.ts";
import type { SectionKit } from "./section.ts";

/**
 * Policies of a configuration as `dial` takes them.
 *
 * @param key of the list, for errors
 * @throws what `mistake` returns, naming the policy that cannot be used
 */
export function policyInits(
  configs: readonly PolicyConfig[],
  key: string,
  mistake: SectionKit["mistake"],
): readonly SelectedPolicy[] {
  const policies = configs.map(policyInit);
  for (const [index, policy] of policies.entries()) {
    try {
      readSelected([policy]);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      throw mistake(`${key}[${index}]`, error.message.replace(/^policies\[0\](?: \([^)]*\))?: /, ""));
    }
  }
  return policies;
}

function policyInit({ selector, ...policy }: PolicyConfig): SelectedPolicy {
  const { timeout, retry, hedge, circuitBreaker, concurrency } = policy;
  const { waitForReady, maxRequestBytes, maxResponseBytes } = policy;
  return {
    selector,
    ...given({
      timeoutMs: timeout,
      idempotency: policy.idempotency as MethodPolicyInit["idempotency"], // The loader has checked the word.
      retry: retry && retryInit(retry),
      hedge: hedge && hedgeInit(hedge),
      circuitBreaker: circuitBreaker && breakerInit(circuitBreaker),
      concurrency: concurrency && {
        max: concurrency.max,
        ...given({ queue: concurrency.queue, queueTimeoutMs: concurrency.queueTimeout }),
      },
      waitForReady,
      maxRequestBytes,
      maxResponseBytes,
    }),
  };
}

function retryInit(retry: RetryConfig): RetryInit {
  const { maxAttempts, initialBackoff, maxBackoff, backoffMultiplier, jitter, attemptTimeout } = retry;
  return given({
    maxAttempts,
    initialBackoffMs: initialBackoff,
    maxBackoffMs: maxBackoff,
    backoffMultiplier,
    jitter,
    codes: codesOf(retry),
    attemptTimeoutMs: attemptTimeout,
    bufferBytes: retry.bufferBytes,
  });
}

function hedgeInit(hedge: HedgeConfig): HedgeInit {
  const delayMs = hedge.delay as HedgeInit["delayMs"]; // Durations as text are read too.
  return given({ maxAttempts: hedge.maxAttempts, delayMs, codes: codesOf(hedge), maxExtra: hedge.maxExtra });
}

function breakerInit(breaker: CircuitBreakerConfig): CircuitBreakerInit {
  const { failureRatio, minCalls, window, slowCall, openFor, maxOpenFor, probes, probeTimeout, k } = breaker;
  // The loader has checked the words.
  const words = breaker as Pick<CircuitBreakerInit, "mode" | "scope">;
  return given({
    mode: words.mode,
    scope: words.scope,
    failureRatio,
    minCalls,
    windowMs: window,
    slowCallMs: slowCall,
    openForMs: openFor,
    maxOpenForMs: maxOpenFor,
    probes,
    probeTimeoutMs: probeTimeout,
    codes: codesOf(breaker),
    k,
  });
}

/** Codes of `google.rpc` have the numbers of gRPC's. */
function codesOf({ codes }: { readonly codes: readonly number[] }): RetryInit["codes"] {
  return codes;
}
