import {
  defaultGraceMs,
  Lifecycle,
  registrations,
  type CountedRegistration,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../../lifecycle/lifecycle.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import type { Pauses } from "../../time/pauses.ts";
import { resolverPauses, type ResolverParts } from "../polling.ts";
import { ConsulAgent, type AgentReply } from "./consul-agent.ts";
import { mergeRegisterOptions, registrationOf } from "./register-options.ts";
import type { RegisterInit, RegisterOptions } from "./register-options.ts";

/** The longest time of a request to the agent, in milliseconds. */
const requestMs = 5_000;
/** The longest time that a stop waits for the agent, in milliseconds. */
const deregisterMs = 2_000;
/** After a refusal by ACL: time until the next attempt, in milliseconds. */
const forbiddenMs = 30_000;
/** Time between looks whether the server is ready, in milliseconds. */
const readyMs = 20;

/**
 * Registers a server with Consul: at `start()`, again when the agent has forgotten it, and off when it drains.
 *
 * It is stopped before the server, so that no client is sent to what no longer serves:
 * `addServerGracefulStop(registration, http, grpc)`. What cannot be done is a warning of the process, once.
 *
 * @throws TypeError naming the option that cannot be used
 */
export function register(options: RegisterInit): Registration {
  return new Registration(mergeRegisterOptions(options));
}

/** A server's registration with Consul. */
export class Registration implements ManagedServer, CountedRegistration, AsyncDisposable {
  readonly name: string;
  /** The service as which the server is registered. */
  readonly service: string;
  readonly #options: RegisterOptions;
  readonly #agent: ConsulAgent;
  readonly #clock: Clock;
  readonly #lifecycle = new Lifecycle();
  readonly #pauses: Pauses;
  readonly #leaving = new AbortController();
  #registration: { readonly id: string; readonly body: object } | undefined;
  #isRegistered = false;
  /** What went wrong last, which is warned of once. */
  #problem: string | undefined;
  #nextMs = 0;
  /** The request that is under way, or the last one. */
  #current: Promise<unknown> = Promise.resolve();
  /** Whether a registration has been taken back. */
  #wasRegistered = false;
  #left: Promise<void> | undefined;
  #stopped: Promise<StopReport> | undefined;

  constructor(options: RegisterOptions, parts: ResolverParts = {}) {
    this.#options = options;
    this.name = `CONSUL ${options.name}`;
    this.service = options.name;
    this.#clock = parts.clock ?? systemClock;
    this.#agent = new ConsulAgent(options, this.#clock);
    this.#pauses = resolverPauses(parts.random);
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. @returns a function that unsubscribes it */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** Whether the agent knows the server, by the last answer that came from it. */
  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** One line for a log or terminal. */
  describe(): string[] {
    return [`[${this.name}] ${this.#isRegistered ? `registered as ${this.id}` : "not registered yet"}`];
  }

  /** Id of the instance; undefined before the server is ready. */
  get id(): string | undefined {
    return this.#registration?.id;
  }

  /**
   * Registers the server as soon as it is ready. Resolves also if that fails, with a warning, and goes on trying, unless
   * it is `required`.
   *
   * @throws Error if the server fails or stops before it is ready; with `required` if the agent refuses or cannot be
   *   reached
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    registrations.add(this);
    try {
      await this.#serverReady();
      this.#registration = registrationOf(this.#options);
      const first = this.#attempt(true);
      this.#current = first.catch(() => {});
      await first;
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      registrations.delete(this);
      throw error;
    }
    if (this.state !== "boot") return; // It was stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
    void this.#keep();
  }

  /** Deregisters the server, which serves on. */
  drain(): void {
    this.#left ??= this.#leave();
  }

  /**
   * Deregisters the server, waits until the agent has answered, 2 s at most, and then for `settleMs`. Nothing is aborted:
   * the server behind it still serves all that time.
   */
  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  /** As `gracefulStop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  async #stop(graceMs: number): Promise<StopReport> {
    this.drain();
    if (this.state === "boot" || this.state === "ready") this.#lifecycle.enter("graceful");
    await this.#left;
    if (this.#wasRegistered) await this.#sleep(Math.min(this.#options.settleMs, graceMs));
    registrations.delete(this);
    this.#lifecycle.enter("stop");
    return { finished: 0, notified: [], cut: [] };
  }

  async #serverReady(): Promise<void> {
    const { server, name } = this.#options;
    while (server.state !== "ready") {
      if (server.state === "error" || server.state === "graceful" || server.state === "stop") {
        throw new Error(
          `register: the server of ${name} is in state "${server.state}" and cannot be registered`,
        );
      }
      await this.#sleep(readyMs, this.#leaving.signal, true);
      if (this.#leaving.signal.aborted)
        throw new Error(`register: ${name} was stopped before it was registered`);
    }
  }

  /** Looks after the registration until the server drains. */
  async #keep(): Promise<void> {
    const { signal } = this.#leaving;
    for (;;) {
      await this.#sleep(this.#nextMs, signal);
      if (signal.aborted) return;
      this.#current = this.#attempt(false);
      await this.#current;
    }
  }

  /** Registers the server, or looks whether it still is registered. @throws Error if it is the first, and required */
  async #attempt(isFirst: boolean): Promise<void> {
    const { verifyMs, required, check, ttlMs } = this.#options;
    try {
      const isKnown = this.#isRegistered && (await this.#isKnown());
      if (!isKnown) await this.#register();
      this.#problem = undefined;
      this.#pauses.reset();
      this.#nextMs = check === "ttl" ? Math.min(verifyMs, ttlMs / 3) : verifyMs;
    } catch (error) {
      if (isFirst && required) throw error;
      if (this.#leaving.signal.aborted) return;
      this.#warn(error);
      const isForbidden = error instanceof Forbidden;
      this.#nextMs = isForbidden ? forbiddenMs : Math.min(this.#pauses.nextMs(), verifyMs);
    }
  }

  /** Whether the agent has the instance; with check `ttl` it gets a report too. */
  async #isKnown(): Promise<boolean> {
    if (this.#options.check === "ttl") {
      const reported = await this.#report();
      if (reported.status === 200) return true;
      // Consul 1.8 answers 500 for a check that it does not know, later ones 404: look what it is.
    }
    const reply = await this.#send("GET", `/v1/agent/service/${this.#encodedId}`);
    if (reply.status === 404) {
      this.#isRegistered = false;
      return false;
    }
    this.#refuseUnless(reply, "read");
    return true;
  }

  async #register(): Promise<void> {
    const id = this.#encodedId;
    // An instance of the same id from before keeps its checks, critical ones too, unless it is taken away first.
    this.#refuseUnless(await this.#send("PUT", `/v1/agent/service/deregister/${id}`), "write", 404);
    const path = "/v1/agent/service/register?replace-existing-checks=true";
    this.#refuseUnless(await this.#send("PUT", path, this.#registration?.body), "write");
    this.#isRegistered = true;
    if (this.#options.check === "ttl") this.#refuseUnless(await this.#report(), "write");
  }

  /** Reports whether the server is healthy. */
  #report(): Promise<AgentReply> {
    const word = this.#options.server.state === "ready" ? "pass" : "fail";
    return this.#send("PUT", `/v1/agent/check/${word}/${encodeURIComponent(`service:${this.id ?? ""}`)}`);
  }

  async #leave(): Promise<void> {
    const untilMs = this.#clock.nowMs() + deregisterMs;
    this.#leaving.abort();
    // A registration that is under way would undo what is sent now.
    const waited = new AbortController();
    await Promise.race([this.#current, this.#sleep(deregisterMs, waited.signal, true)]);
    waited.abort();
    if (this.#registration === undefined) return;
    this.#wasRegistered = this.#isRegistered;
    this.#isRegistered = false;
    try {
      const path = `/v1/agent/service/deregister/${this.#encodedId}`;
      const timeoutMs = Math.max(1, untilMs - this.#clock.nowMs());
      const reply = await this.#agent.send({ method: "PUT", path, timeoutMs });
      this.#refuseUnless(reply, "write", 404);
    } catch (error) {
      if (this.#wasRegistered) this.#warn(error, "deregistered");
    }
  }

  get #encodedId(): string {
    return encodeURIComponent(this.id ?? "");
  }

  #send(method: "GET" | "PUT", path: string, body?: unknown): Promise<AgentReply> {
    return this.#agent.send({ method, path, body, timeoutMs: requestMs });
  }

  #refuseUnless({ status, text }: AgentReply, policy: "read" | "write", alsoGood = 200): void {
    if (status === 200 || status === alsoGood) return;
    const { name } = this.#options;
    if (status === 403) {
      throw new Forbidden(`the token lacks the ACL rule service "${name}" { policy = "${policy}" }`);
    }
    throw new Error(`Consul answered ${status}: ${text.slice(0, 200)}`);
  }

  #warn(error: unknown, missing = "registered"): void {
    const text = error instanceof Error ? error.message : String(error);
    const problem = `${this.#options.name} is not ${missing} with Consul: ${text}`;
    if (problem === this.#problem) return;
    this.#problem = problem;
    process.emitWarning(problem);
  }

  #sleep(ms: number, signal?: AbortSignal, keepsProcess = signal === undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal?.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.#clock.after(ms, end, keepsProcess);
      if (signal?.aborted === true) end();
      else signal?.addEventListener("abort", end);
    });
  }
}

/** A request that the ACL of Consul refuses. */
class Forbidden extends Error {}
