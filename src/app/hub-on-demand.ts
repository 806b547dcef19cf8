import type { DescService } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { BookedConnection, RenewedCall } from "../core/call/booked-connection.ts";
import { CallContext } from "../core/call/context.ts";
import { implementationOf, type AnyService, type Service } from "../core/call/service.ts";
import type { CallHead } from "../core/admission/call-head.ts";
import {
  type ConnectionBook,
  liveTimes,
  type ServerBook,
  type SocketOpening,
} from "../core/admission/connection-book.ts";
import type { Gate } from "../core/admission/gate.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import type { Hub } from "../hub/hub.ts";
import { busOf } from "./hub-buses.ts";

/** Makes a service of a hub. */
export type MakeHubService<D extends DescService> = (hub: Hub) => Promise<Service<D>>;

/**
 * A hub that is loaded with the first call of a service that needs it: until then a program pays nothing for it. For the
 * option `hub` of servers.
 *
 * Only calls of its services, and sockets on which there was one or that are opened later, are connections of the hub.
 */
export class HubOnDemand implements ConnectionBook {
  readonly #services: DescService[] = [];
  readonly #makers: ((hub: Hub) => Promise<void>)[] = [];
  readonly #books: LateBook[] = [];
  #loading: Promise<Hub> | undefined;

  /** A service of the hub. @param make makes it, once, when it is called for the first time */
  service<D extends DescService>(descriptor: D, make: MakeHubService<D>): Service<D> {
    let made: AnyService | undefined;
    this.#services.push(descriptor);
    this.#makers.push(async (hub) => {
      made = await make(hub);
    });
    const handlers = descriptor.methods.map((method) => {
      const handler = (...args: readonly unknown[]): unknown => {
        // The gate has let no call pass before it was there.
        const found = made && implementationOf(made, method);
        if (found === undefined)
          throw new Error(`${descriptor.typeName} is called behind no gate of its hub`);
        return Reflect.apply(found, undefined, args);
      };
      return [method.localName, handler] as const;
    });
    return { ...Object.fromEntries(handlers), descriptor } as unknown as Service<D>; // It has each rpc of the descriptor.
  }

  attach(): ServerBook {
    const book = new LateBook({
      concerns: (service) => this.#services.includes(service),
      load: () => this.#load(),
    });
    this.#books.push(book);
    return book;
  }

  #load(): Promise<Hub> {
    return (this.#loading ??= this.#make());
  }

  async #make(): Promise<Hub> {
    const { Hub } = await import("../hub/hub.ts");
    const hub = new Hub({ bus: workerId() === undefined ? undefined : await busOf("worker") });
    for (const make of this.#makers) await make(hub);
    for (const book of this.#books) book.use(hub.attach());
    return hub;
  }
}

/** What the connections of a server ask. */
interface LateHub {
  concerns(service: DescService): boolean;
  load(): Promise<unknown>;
}

/** The connections of a server whose hub comes later. */
class LateBook implements ServerBook {
  readonly gate: Gate;
  readonly beatMs = liveTimes.beatMs;
  readonly expiryNoticeMs = liveTimes.expiryNoticeMs;
  readonly #hub: LateHub;
  #book: ServerBook | undefined;
  #isServing = false;

  constructor(hub: LateHub) {
    this.#hub = hub;
    this.gate = {
      name: "hub",
      countsCalls: true,
      concerns: ({ parent }) => hub.concerns(parent),
      admit: (head) => this.#admit(head),
    };
  }

  /** The hub is there. */
  use(book: ServerBook): void {
    this.#book = book;
    if (this.#isServing) book.started();
  }

  openSocket(opening: SocketOpening): BookedConnection {
    return this.#book?.openSocket(opening) ?? new LateSocket(opening);
  }

  started(): void {
    this.#isServing = true;
    this.#book?.started();
  }

  drain(graceMs: number): void {
    this.#isServing = false;
    this.#book?.drain(graceMs);
  }

  stopped(): void {
    this.#book?.stopped();
  }

  #admit(head: CallHead): void | Promise<void> {
    if (this.#book !== undefined) return this.#enter(this.#book, head);
    return this.#hub.load().then(() => this.#book && this.#enter(this.#book, head));
  }

  /** @throws ConnectError by which the call is refused */
  #enter(book: ServerBook, head: CallHead): void | Promise<void> {
    const { context, method } = head;
    if (context instanceof CallContext && context.connection instanceof LateSocket) {
      context.connection = context.connection.enter(book);
    }
    return book.gate.concerns?.(method) === false ? undefined : book.gate.admit(head);
  }
}

/** A WebSocket that was opened before its hub was there. */
class LateSocket implements BookedConnection {
  readonly #opening: SocketOpening;
  #entered: BookedConnection | undefined;
  #name: string | undefined;
  #isClosed = false;

  constructor(opening: SocketOpening) {
    this.#opening = opening;
  }

  /** The socket in the book of the hub. @throws ConnectError by which the hub refuses it */
  enter(book: ServerBook): BookedConnection {
    if (this.#entered === undefined) {
      this.#entered = book.openSocket(this.#opening);
      if (this.#name !== undefined) this.#entered.greeted(this.#name);
      if (this.#isClosed) this.#entered.closed();
    }
    return this.#entered;
  }

  greeted(client: string): void {
    this.#name = client;
    this.#entered?.greeted(client);
  }

  confirmed(call: HandlerContext, token: string): boolean {
    return this.#entered?.confirmed(call, token) ?? false;
  }

  endsAtMs(call: HandlerContext): number | undefined {
    return this.#entered?.endsAtMs(call);
  }

  async renew(calls: readonly RenewedCall[]): Promise<void> {
    await this.#entered?.renew(calls);
  }

  seen(): void {
    this.#entered?.seen();
  }

  closed(): void {
    this.#isClosed = true;
    this.#entered?.closed();
  }
}
