import type { CallArrival, CallAnswer, RefusedCall } from "../../core/call/observer.ts";
import type { CallContext } from "../../core/call/context.ts";
import { startTracing, type Tracing } from "../../core/telemetry/tracing/tracing.ts";
import {
  traceAcceptance,
  tracingDefaults,
  type TracingRules,
} from "../../core/telemetry/tracing/tracing-options.ts";
import type { EndedRequest } from "../../gateway/http/http-observer.ts";
import type { TracingConfig } from "../../../gen/ts_ms/config/v1/telemetry_pb.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** What traces add to the section `telemetry`. */
export type TracingParts = Required<
  Pick<SectionParts, "observers" | "httpObservers" | "start" | "stop" | "prepare">
>;

/** Traces of all calls, sent to a collector. */
export function tracingParts({ config, redactor }: SectionKit, message: TracingConfig): TracingParts {
  let tracing: Tracing | undefined;
  // Observers are made before anything starts.
  const observer = {
    arrived: (context: CallContext, arrival: CallArrival) => tracing?.arrived(context, arrival),
    refused: (call: RefusedCall) => tracing?.refused(call),
    answered: (context: CallContext, answer: CallAnswer) => tracing?.answered(context, answer),
    requestEnded: (request: EndedRequest) => tracing?.requestEnded(request),
  };
  return {
    observers: [{ arrived: observer.arrived, answered: observer.answered, refused: observer.refused }],
    httpObservers: [{ requestEnded: observer.requestEnded }],
    async start() {
      const { endpoint = "", headers, resource, baggageKeys, queue, flushTimeout } = message;
      tracing = await startTracing({
        ...rulesOf(message),
        endpoint,
        headers,
        resource,
        baggageKeys,
        redact: redactor,
        queue,
        flushTimeoutMs: flushTimeout,
        service: config.app.name ?? tracingDefaults.service,
      });
    },
    async stop() {
      await tracing?.stop();
      tracing = undefined;
    },
    prepare:
      ({ next }) =>
      () => {
        if (next.telemetry.tracing !== undefined) tracing?.update(rulesOf(next.telemetry.tracing));
      },
  };
}

function rulesOf({ sampleRatio, maxPerSecond, accept }: TracingConfig): TracingRules {
  return {
    sampleRatio,
    maxPerSecond,
    accept: traceAcceptance.find((one) => one === accept) ?? "all",
  };
}
