import type { IncomingMessage } from "node:http";
import { Code, ConnectError } from "../../errors/errors.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import { Pauses } from "../../time/pauses.ts";
import { WakeablePause } from "../../time/wakeable-pause.ts";
import { resolverPauses } from "../polling.ts";
import type { KubeApi, KubernetesParts } from "./kube-api.ts";
import { membersOf, textOf, type Members } from "./members.ts";
import { RequestPace } from "./request-pace.ts";
import { SilenceLimit } from "./silence-limit.ts";
import { readLines } from "./watch-lines.ts";

/** Objects of one resource. */
export interface WatchedObjects {
  /** Path of their list, such as `/api/v1/services`. */
  readonly path: string;
  readonly labelSelector: string;
  /** Name of the resource, for errors. */
  readonly resource: string;
  /** For errors; undefined for all. */
  readonly namespace: string | undefined;
}

/** Takes what an `ObjectWatch` finds. */
export interface ObjectListener {
  /** All objects there are now. */
  changed(objects: readonly Members[]): void;
  failed(error: ConnectError): void;
}

/** How long a list may take until its head, and how long its body may be silent, in milliseconds. */
const listMs = 10_000;
/** Bounds of the time after which the API server ends a watch, in seconds: by chance, so that not all end together. */
const leastSeconds = 240;
const mostSeconds = 360;
/** A watch without a byte for this much longer is dead, in milliseconds. */
const silenceMs = 30_000;
/** A watch that ends sooner, without an event, is short; after three short ones in a row the objects are listed anew. */
const shortMs = 1_000;
const mostShort = 3;
/** Pauses after an answer that refuses: the API server lives, and may be of another opinion soon. */
const refusalBackoff = { initialMs: 1_000, maxMs: 4_000, multiplier: 1.6, jitter: 0.2 };
const mostRetryAfterMs = 30_000;

/** An answer other than 200. */
class Refused extends Error {
  readonly status: number;
  readonly retryAfterMs: number;

  constructor(status: number, text: string, retryAfter: string | undefined) {
    super(`HTTP ${status}: ${text.slice(0, 300)}`);
    this.status = status;
    const isSeconds = /^\d{1,6}$/.test(retryAfter ?? "");
    this.retryAfterMs = isSeconds ? Math.min(Number(retryAfter) * 1_000, mostRetryAfterMs) : 0;
  }

  /** Whether the server can answer, but not this. */
  get isOpinion(): boolean {
    return this.status < 500 && this.status !== 429;
  }
}

/** The version that a watch begins with is too old, or unknown. */
class Expired extends Error {}

/**
 * The objects of a list of the API server and their changes: lists them, watches from there on, and lists them anew when
 * the watch cannot go on. Never more than about a request in a second.
 */
export class ObjectWatch {
  readonly #api: KubeApi;
  readonly #watched: WatchedObjects;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #pauses: Pauses;
  readonly #refusalPauses: Pauses;
  readonly #pace: RequestPace;
  /** After a failure. */
  readonly #pause: WakeablePause;
  readonly #objects = new Map<string, Members>();
  /** Of the last list, event or bookmark. */
  #version = "";

  constructor(api: KubeApi, watched: WatchedObjects, parts: KubernetesParts = {}) {
    this.#api = api;
    this.#watched = watched;
    this.#clock = parts.clock ?? systemClock;
    this.#random = parts.random ?? Math.random;
    this.#pauses = resolverPauses(this.#random);
    this.#refusalPauses = new Pauses(refusalBackoff, this.#random);
    this.#pace = new RequestPace(this.#clock);
    this.#pause = new WakeablePause(this.#clock);
  }

  /** Ends the pause after a failure. */
  refresh(): void {
    this.#pause.end();
  }

  /** Watches until the signal fires. Never rejects. */
  async run(listener: ObjectListener, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#list(listener, signal);
        await this.#watch(listener, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Expired) continue;
        listener.failed(this.#errorOf(error));
        await this.#pause.wait(this.#pauseAfter(error), signal);
      }
    }
  }

  async #list(listener: ObjectListener, signal: AbortSignal): Promise<void> {
    const { path, labelSelector } = this.#watched;
    await this.#pace.next(signal);
    const query = new URLSearchParams({ labelSelector });
    using limit = new SilenceLimit(this.#clock, listMs, signal);
    const response = await this.#api.open({
      path: `${path}?${query.toString()}`,
      timeoutMs: listMs,
      keepsProcess: true,
      signal: limit.signal,
    });
    const list = membersOf(JSON.parse(await bodyOf(response, limit)));
    const items = list["items"];
    if (!Array.isArray(items)) throw new Error("the list has no items");
    this.#version = textOf(membersOf(list["metadata"])["resourceVersion"]) ?? "";
    this.#objects.clear();
    for (const item of items) this.#objects.set(keyOf(membersOf(item)), membersOf(item));
    listener.changed([...this.#objects.values()]);
  }

  /** Watches until the objects must be listed anew. */
  async #watch(listener: ObjectListener, signal: AbortSignal): Promise<void> {
    for (let short = 0; short < mostShort;) {
      await this.#pace.next(signal);
      const startedMs = this.#clock.nowMs();
      const hadEvent = await this.#watchOnce(listener, signal);
      short = hadEvent || this.#clock.nowMs() - startedMs >= shortMs ? 0 : short + 1;
    }
  }

  /** @returns whether there was an event */
  async #watchOnce(listener: ObjectListener, signal: AbortSignal): Promise<boolean> {
    const { path, labelSelector } = this.#watched;
    const seconds = leastSeconds + Math.floor(this.#random() * (mostSeconds - leastSeconds + 1));
    const query = new URLSearchParams({
      labelSelector,
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: this.#version,
      timeoutSeconds: String(Math.min(seconds, mostSeconds)),
    });
    using limit = new SilenceLimit(this.#clock, seconds * 1_000 + silenceMs, signal);
    const response = await this.#api.open({
      path: `${path}?${query.toString()}`,
      timeoutMs: seconds * 1_000 + silenceMs,
      keepsProcess: false,
      signal: limit.signal,
    });
    if (response.statusCode !== 200) await bodyOf(response, limit);
    this.#pauses.reset();
    this.#refusalPauses.reset();
    let hadEvent = false;
    try {
      for await (const lines of readLines(response)) {
        limit.begin();
        const changes = lines.filter((line) => this.#take(membersOf(JSON.parse(line))));
        if (changes.length === 0) continue;
        hadEvent = true;
        listener.changed([...this.#objects.values()]);
      }
    } catch (error) {
      // A connection that is lost is the end of the watch, as others are: the next one goes on from here.
      if (signal.aborted || error instanceof Expired || error instanceof SyntaxError) throw error;
    }
    return hadEvent;
  }

  /** @returns whether the event changes an object; @throws Expired if the watch cannot go on */
  #take(event: Members): boolean {
    const object = membersOf(event["object"]);
    if (event["type"] === "ERROR") throw new Expired(textOf(object["message"]));
    const version = textOf(membersOf(object["metadata"])["resourceVersion"]);
    if (version !== undefined) this.#version = version;
    switch (event["type"]) {
      case "ADDED":
      case "MODIFIED":
        this.#objects.set(keyOf(object), object);
        return true;
      case "DELETED":
        return this.#objects.delete(keyOf(object));
      default:
        return false; // BOOKMARK has a version only.
    }
  }

  #pauseAfter(error: unknown): number {
    if (!(error instanceof Refused)) return this.#pauses.nextMs();
    const pauses = error.isOpinion ? this.#refusalPauses : this.#pauses;
    return Math.max(pauses.nextMs(), error.retryAfterMs);
  }

  #errorOf(error: unknown): ConnectError {
    return new ConnectError(
      `kubernetes: ${this.#problemOf(error)}`,
      Code.Unavailable,
      undefined,
      undefined,
      error,
    );
  }

  #problemOf(error: unknown): string {
    if (!(error instanceof Refused)) return "the API server does not answer";
    const { resource, namespace } = this.#watched;
    switch (error.status) {
      case 401:
        return "the API server does not accept the token";
      case 403:
        return `cannot list/watch ${resource} in ${namespace ?? "all namespaces"}: grant get, list, watch`;
      default:
        return `the API server answers ${error.status}`;
    }
  }
}

/** @throws Refused if the status is not 200, Expired if it is 410 */
async function bodyOf(response: IncomingMessage, limit: SilenceLimit): Promise<string> {
  const parts: string[] = [];
  for await (const part of response.setEncoding("utf8")) {
    limit.begin();
    parts.push(part as string); // With an encoding they are texts.
  }
  const text = parts.join("");
  const status = response.statusCode ?? 0;
  if (status === 410) throw new Expired(text.slice(0, 300));
  if (status !== 200) throw new Refused(status, text, response.headers["retry-after"]);
  return text;
}

function keyOf(object: Members): string {
  const { namespace, name } = membersOf(object["metadata"]);
  return `${textOf(namespace) ?? ""}/${textOf(name) ?? ""}`;
}
