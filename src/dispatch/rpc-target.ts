import type { DescMethodUnary, Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { RpcTarget as RpcTargetConfig } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { dial, type DialOptions } from "../core/dial.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import { nearestName } from "../core/errors/nearest-name.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";
import type { EventTypes } from "./event-types.ts";
import { endOf } from "./run-end.ts";
import type { Attempt, AttemptEnd, Target } from "./target.ts";

/** Connections to the targets of subscriptions, which those of one target share. */
export class RpcConnections {
  readonly #options: Partial<Omit<DialOptions, "interceptors" | "network">>;
  readonly #open = new Map<string, { readonly transport: ReturnType<typeof dial>; users: number }>();

  constructor(options: Partial<Omit<DialOptions, "interceptors" | "network">>) {
    this.#options = options;
  }

  /** @throws TypeError, SetupError for a target that cannot be used */
  take(target: string): { readonly transport: Transport; release(): void } {
    let open = this.#open.get(target);
    if (open === undefined) {
      open = { transport: dial(target, this.#options), users: 0 };
      this.#open.set(target, open);
    }
    const taken = open;
    taken.users++;
    return {
      transport: taken.transport,
      release: () => {
        if (--taken.users > 0) return;
        this.#open.delete(target);
        taken.transport.close();
      },
    };
  }
}

/** The rpc that a subscription names, and the types of the events that it takes. */
export interface CheckedRpc {
  readonly method: DescMethodUnary;
  /** CloudEvents types. */
  readonly types: readonly string[];
}

/**
 * Finds the rpc of a target.
 *
 * @param wanted the types that the filter lets through; undefined for any
 * @throws ConnectError INVALID_ARGUMENT for an rpc that is not known, or takes other messages
 */
export function checkRpc(
  { target, method: name }: Pick<RpcTargetConfig, "target" | "method">,
  { registry, types }: { readonly registry: Registry; readonly types: EventTypes },
  wanted: readonly string[] | undefined,
): CheckedRpc {
  if (target === "") throw wrong("target", "must be set, such as dns:///mail:42001");
  const [service = "", rpc = ""] = name.split("/", 2);
  const descriptor = registry.getService(service);
  if (descriptor === undefined)
    throw wrong("method", `the registry has no service ${JSON.stringify(service)}`);
  const method = descriptor.methods.find((each) => each.name === rpc);
  if (method === undefined) {
    const near = nearestName(
      rpc,
      descriptor.methods.map((each) => each.name),
    );
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    throw wrong("method", `${service} has no rpc ${JSON.stringify(rpc)}${hint}`);
  }
  if (method.methodKind !== "unary") throw wrong("method", `${name} is no unary rpc`);
  const taken = [...types.values()].filter(({ schema }) => schema.typeName === method.input.typeName);
  const own = taken.map(({ type }) => type);
  const other = wanted?.find((type) => !own.includes(type));
  if (own.length === 0 || other !== undefined) {
    throw wrong(
      "method",
      `${name} takes ${method.input.typeName}, which is not the message of ${other ?? "an event"}`,
    );
  }
  return { method: method as DescMethodUnary, types: own }; // By its kind.
}

/** Calls an rpc with the message of each event. */
export class RpcTarget implements Target {
  readonly kind = "rpc";
  readonly #connection: ReturnType<RpcConnections["take"]>;
  readonly #method: DescMethodUnary;
  readonly #timeoutMs: number;

  /** @throws ConnectError INVALID_ARGUMENT for a target that cannot be dialled */
  constructor(target: string, method: DescMethodUnary, connections: RpcConnections, timeoutMs: number) {
    try {
      this.#connection = connections.take(target);
    } catch (reason) {
      throw wrong("target", reason instanceof Error ? reason.message : String(reason));
    }
    this.#method = method;
    this.#timeoutMs = timeoutMs;
  }

  async deliver(event: DispatchedEvent, { deliveryId, signal }: Attempt): Promise<AttemptEnd> {
    const headers = new Headers(attributeHeaders(event));
    headers.set("idempotency-key", deliveryId);
    const { extensions } = event.kept;
    for (const name of ["traceparent", "tracestate"])
      if (extensions[name] !== undefined) headers.set(name, extensions[name]);
    try {
      const { transport } = this.#connection;
      await transport.unary(this.#method, signal, this.#timeoutMs, headers, event.message);
      return { kind: "done" };
    } catch (reason) {
      return endOf(reason);
    }
  }

  close(): void {
    this.#connection.release();
  }
}

/** The attributes of an event as headers, by the HTTP binding of CloudEvents. */
export function attributeHeaders(event: DispatchedEvent): [name: string, value: string][] {
  return [...event.attributes].map(([name, value]) => [`ce-${name}`, percentEncoded(value)]);
}

/** HTTP binding, 3.1.3.2: everything but printable ASCII, and `"`, `%` and the space. */
function percentEncoded(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\x21\x23\x24\x26-\x7e]/gu, (character) =>
      encodeURIComponent(character).replace('"', "%22"),
    );
}

function wrong(field: string, why: string): ConnectError {
  const path = `subscription.rpc.${field}`;
  return invalidArgument(`${path}: ${why}`, [{ field: path, description: why }]);
}
