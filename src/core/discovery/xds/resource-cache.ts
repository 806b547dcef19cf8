import type { DiscoveryResponse } from "../../../../gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { Clock } from "../../time/clock.ts";
import type { ResourceType } from "./resource-types.ts";

/** What is known of a resource. */
export type Known<T> =
  /** The control plane has not said anything yet. */
  | { readonly kind: "waiting" }
  | { readonly kind: "there"; readonly value: T }
  | { readonly kind: "not there" }
  /** It was bad before it was there once, or is bad and must not be used any more. */
  | { readonly kind: "bad"; readonly problem: string }
  /** The control plane could not be reached before it has said anything. */
  | { readonly kind: "unreachable"; readonly problem: string };

/** A resource in use, with those who use it. */
interface Entry<T> {
  known: Known<T>;
  readonly listeners: Set<() => void>;
  /** Cancels the end of the wait for it. */
  cancelWait: (() => void) | undefined;
}

/** A resource that does not come within this time is not there, in milliseconds. */
const waitMs = 15_000;

/** The resources of one type that are in use: their last good versions. */
export class ResourceCache<T> {
  readonly type: ResourceType<T>;
  readonly #clock: Clock;
  /** Whether resources that were deleted, or have become bad, are dropped. */
  readonly #dropsOnErrors: boolean;
  readonly #entries = new Map<string, Entry<T>>();
  /** The version that is in use. */
  version = "";
  /** Of the last response of the stream at hand. */
  nonce = "";

  constructor(type: ResourceType<T>, clock: Clock, dropsOnErrors: boolean) {
    this.type = type;
    this.#clock = clock;
    this.#dropsOnErrors = dropsOnErrors;
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** What is known of a resource that is in use. */
  known(name: string): Known<T> {
    return this.#entries.get(name)?.known ?? { kind: "waiting" };
  }

  /** @returns whether the resource was not in use before */
  add(name: string, listener: () => void): boolean {
    const entry = this.#entries.get(name);
    if (entry !== undefined) {
      entry.listeners.add(listener);
      return false;
    }
    this.#entries.set(name, {
      known: { kind: "waiting" },
      listeners: new Set([listener]),
      cancelWait: undefined,
    });
    return true;
  }

  /** @returns whether the resource is no longer in use */
  remove(name: string, listener: () => void): boolean {
    const entry = this.#entries.get(name);
    if (entry?.listeners.delete(listener) !== true || entry.listeners.size > 0) return false;
    entry.cancelWait?.();
    this.#entries.delete(name);
    return true;
  }

  /** The resources have been asked for: those that do not come in time are not there. */
  asked(): void {
    for (const entry of this.#entries.values()) {
      if (!isUnsaid(entry.known)) continue;
      entry.cancelWait ??= this.#clock.after(
        waitMs,
        () => {
          entry.cancelWait = undefined;
          this.#set(entry, { kind: "not there" });
        },
        false,
      );
    }
  }

  /** The stream has ended: nothing is waited for. @param problem of resources that have never come; undefined for none */
  lost(problem: string | undefined): void {
    this.nonce = "";
    for (const entry of this.#entries.values()) {
      entry.cancelWait?.();
      entry.cancelWait = undefined;
      if (problem !== undefined && isUnsaid(entry.known)) this.#set(entry, { kind: "unreachable", problem });
    }
  }

  /** Takes a response. @returns what is wrong with its resources, each with its name; none if all of them are good */
  take({ resources }: DiscoveryResponse): string[] {
    const { type } = this;
    const problems: string[] = [];
    const seen = new Set<string>();
    let isAllNamed = true;
    for (const [index, any] of resources.entries()) {
      const read = type.read(any);
      if (read.name !== undefined) seen.add(read.name);
      if ("value" in read) {
        const entry = this.#entries.get(read.name);
        if (entry !== undefined) this.#set(entry, { kind: "there", value: read.value });
        continue;
      }
      if (read.name === undefined) isAllNamed = false;
      const name = read.name ?? `#${index + 1}`;
      problems.push(`${type.label} ${name}: ${read.problem}`);
      const entry = read.name === undefined ? undefined : this.#entries.get(read.name);
      if (entry === undefined) continue;
      if (entry.known.kind !== "there" || this.#dropsOnErrors) {
        this.#set(entry, { kind: "bad", problem: `the ${type.label} ${name} is bad` });
      }
    }
    // A resource whose name cannot be read may be the one that seems to be missing.
    if (type.isWhole && isAllNamed) this.#drop(seen);
    return problems;
  }

  /** Deletes what is no longer there. What does not come at all is waited for, though. */
  #drop(seen: ReadonlySet<string>): void {
    if (!this.#dropsOnErrors) return;
    for (const [name, entry] of this.#entries) {
      if (!seen.has(name) && entry.known.kind === "there") this.#set(entry, { kind: "not there" });
    }
  }

  #set(entry: Entry<T>, known: Known<T>): void {
    entry.cancelWait?.();
    entry.cancelWait = undefined;
    entry.known = known;
    for (const listener of [...entry.listeners]) listener();
  }
}

/** Whether the control plane has said nothing of a resource yet. */
function isUnsaid({ kind }: Known<unknown>): boolean {
  return kind === "waiting" || kind === "unreachable";
}
