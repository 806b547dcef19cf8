import { channel } from "node:diagnostics_channel";
import { EventEmitter } from "node:events";
import type { Server } from "node:http";

/** Events of Node's server that requests of the fast lane do not emit. */
const missed: ReadonlySet<string | symbol> = new Set(["request", "clientError", "timeout", "dropRequest"]);

/** Channels of Node on which requests of the fast lane are not published. */
const channels = [
  "http.server.request.start",
  "http.server.response.created",
  "http.server.response.finish",
].map((name) => channel(name));

/** Settings of Node's server that the fast lane does not have. */
const settings = [
  "headersTimeout",
  "keepAliveTimeout",
  "maxRequestsPerSocket",
  "requestTimeout",
  "timeout",
] as const;

/** Has Node's own `emit`; libraries that trace requests replace it on servers. */
const original = EventEmitter.prototype;

/** How messages name Node's server. */
const server = "http.fastify.server";

/**
 * Finds what an application or a tracing library does with the server of `node:http` and with its diagnostics channels:
 * for that, every request has to pass through Node.
 */
export class NodeUse {
  #server: Server | undefined;
  #settings: readonly unknown[] = [];
  #listener: string | undefined;

  /** From now on listeners that are added to `server`, and settings that change, are the application's. */
  watch(watched: Server): void {
    this.#server = watched;
    this.#settings = settings.map((name) => watched[name]);
    watched.on("newListener", (event: string | symbol) => {
      if (missed.has(event)) this.#listener ??= `${server} has a listener for ${String(event)}`;
    });
  }

  /** Why requests have to pass through Node; undefined if they need not. Is read for every request. */
  get why(): string | undefined {
    if (this.#listener !== undefined) return this.#listener;
    for (const { hasSubscribers, name } of channels) {
      if (hasSubscribers) return `the channel ${String(name)} has subscribers`;
    }
    if (this.#server === undefined || this.#server.emit === original.emit) return undefined;
    return `${server}.emit was replaced`;
  }

  /** Why new connections have to be Node's; undefined if they need not. */
  get whyConnections(): string | undefined {
    const changed = settings.find((name, index) => this.#server?.[name] !== this.#settings[index]);
    return this.why ?? (changed === undefined ? undefined : `${server}.${changed} was changed`);
  }
}
