import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setImmediate, setTimeout as after } from "node:timers/promises";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient, type Client } from "../../src/core/call/client.ts";
import { dial, type DialedTransport, type DialOptions, type DialTarget } from "../../src/core/dial.ts";
import type { Endpoint, Resolver, ResolverListener } from "../../src/core/discovery/resolver.ts";
import { ConnectError } from "../../src/core/errors/errors.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/core/grpc-server.ts";
import { Echo } from "./echo-service.ts";
import { KillableFront } from "./killable-front.ts";

/** How long an event may take to come on a machine with other load, in milliseconds. */
const patienceMs = 60_000;

/** A server with what stands in front of it. */
export interface OneOfSeveral {
  readonly server: GrpcServer;
  readonly echo: Echo;
  readonly address: string;
  readonly front: KillableFront;
}

/** Starts several servers; they are stopped with the test. */
export async function severalServers(
  t: TestContext,
  count: number,
  options: Partial<GrpcServerOptions> = {},
): Promise<readonly OneOfSeveral[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const echo = new Echo();
      const server = new GrpcServer({ port: 0, ...options }).addService(echo);
      await server.start();
      const front = await new KillableFront(server.address?.port ?? 0).start();
      t.after(async () => {
        await front.kill();
        await server.gracefulStop({ graceMs: 0 });
      });
      return { server, echo, front, address: front.address };
    }),
  );
}

/** A client of several servers; it is closed with the test. */
export function dialSeveral(
  t: TestContext,
  target: DialTarget,
  options: Partial<DialOptions> = {},
): { readonly transport: DialedTransport; readonly client: Client<typeof EchoService> } {
  const transport = dial(target, options);
  t.after(() => transport.close());
  return { transport, client: createClient(EchoService, transport) };
}

/** A resolver that a test answers for. */
export class ScriptedResolver implements Resolver {
  readonly name = "script";
  /** How often it was asked to look again. */
  refreshes = 0;
  /** Resolves when it is watched for the first time. */
  readonly watched: Promise<void>;
  #begun: () => void = () => {};
  #listener: ResolverListener | undefined;

  constructor() {
    this.watched = new Promise((resolve) => (this.#begun = resolve));
  }

  watch(listener: ResolverListener, signal: AbortSignal): void {
    this.#listener = listener;
    this.#begun();
    signal.addEventListener("abort", () => (this.#listener = undefined));
  }

  refresh(): void {
    this.refreshes++;
  }

  get listener(): ResolverListener {
    return this.#listener ?? assert.fail("nothing watches");
  }

  update(...endpoints: readonly (string | Endpoint)[]): void {
    this.listener.update(endpoints.map((entry) => (typeof entry === "string" ? { address: entry } : entry)));
  }
}

/** Callers that make one call after the other, until they are stopped. */
export class Load {
  /** Calls that were answered. */
  done = 0;
  readonly errors: ConnectError[] = [];
  #isOver = false;
  readonly #callers: Promise<unknown>;
  readonly #checks = new Set<() => void>();

  constructor(callers: number, call: () => Promise<unknown>) {
    const caller = async (): Promise<void> => {
      while (!this.#isOver) {
        try {
          await call();
          this.done++;
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
          this.errors.push(error);
          await setImmediate(); // Of a client that is closed all calls fail at once.
        }
        for (const check of this.#checks) check();
      }
    };
    this.#callers = Promise.all(Array.from({ length: callers }, caller));
  }

  /** Resolves as soon as `holds` does, which is asked after each call. */
  async until(holds: () => boolean, withinMs = patienceMs): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#callers,
      new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => {
          this.#isOver = true;
          reject(new Error(`not within ${withinMs} ms: ${holds.toString()}`));
        }, withinMs);
        const check = (): void => {
          if (!holds()) return;
          this.#checks.delete(check);
          resolve();
        };
        this.#checks.add(check);
      }),
    ]);
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#callers;
  }
}

/** Resolves as soon as `holds` does, which is asked at every change of the transport. */
export async function until(
  transport: DialedTransport,
  holds: () => boolean,
  withinMs = patienceMs,
): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      reject(new Error(`not within ${withinMs} ms: ${holds.toString()}`));
    }, withinMs);
    const end = transport.onChange(() => {
      if (!holds()) return;
      clearTimeout(timer);
      end();
      resolve();
    });
  });
}

/** Resolves when the first breaker of a transport, which is open, would let a call through as its probe. */
export async function probeDue(transport: DialedTransport): Promise<void> {
  const state = transport.stats().cluster?.breakers[0]?.state;
  assert.ok(state?.kind === "open", `the breaker is ${state?.kind}`);
  await after(Math.max(0, state.untilMs - performance.now()) + 5);
}

/** The calls that each server has served. */
export function callsOf(servers: readonly OneOfSeveral[]): readonly number[] {
  return servers.map(({ echo }) => echo.calls);
}
