import {
  type Context,
  ROOT_CONTEXT,
  trace as otelTrace,
  TraceFlags,
  type TraceState,
} from "@opentelemetry/api";
import type { TraceParent } from "../../metadata/trace-context.ts";

/** The context of a caller in another process, as its headers tell. */
export function remoteContext(
  { traceId, spanId, sampled }: TraceParent,
  tracestate: string | undefined,
): Context {
  return otelTrace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: new PassedState(tracestate) }),
  });
}

/** `tracestate` of a caller, which is only passed on. */
export class PassedState implements TraceState {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get(key: string): string | undefined {
    const member = this.#text.split(",").find((part) => part.startsWith(`${key}=`));
    return member?.slice(key.length + 1);
  }

  set(key: string, value: string): TraceState {
    const rest = this.unset(key).serialize();
    return new PassedState(rest === "" ? `${key}=${value}` : `${key}=${value},${rest}`);
  }

  unset(key: string): TraceState {
    const kept = this.#text.split(",").filter((part) => !part.startsWith(`${key}=`));
    return new PassedState(kept.join(","));
  }

  serialize(): string {
    return this.#text;
  }
}
