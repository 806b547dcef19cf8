import type { CallContext } from "../call/context.ts";
import { type CallArrival, type CallObserver, notify } from "../call/observer.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { CallSource, SourceHead } from "./arrived-call.ts";
import type { ClientAddresses } from "./client-address.ts";

/** Tells observers when calls arrive over connections, and when they are answered. */
export class CallReports {
  readonly #observers: readonly CallObserver[];
  readonly #addresses: ClientAddresses;

  /** @returns undefined where no observer is told of it */
  static of(observers: readonly CallObserver[], addresses: ClientAddresses): CallReports | undefined {
    const told = observers.filter((one) => one.arrived !== undefined || one.answered !== undefined);
    return told.length === 0 ? undefined : new CallReports(told, addresses);
  }

  private constructor(observers: readonly CallObserver[], addresses: ClientAddresses) {
    this.#observers = observers;
    this.#addresses = addresses;
  }

  /** The head of a call has come. @param isTrusted whether its client is a trusted peer */
  arrived(context: CallContext, source: CallSource, isTrusted = false): void {
    const arrival = this.arrivalOf(source, isTrusted);
    context.arrival = arrival;
    notify(this.#observers, (observer) => observer.arrived?.(context, arrival));
  }

  /** The head of a request. @param isTrusted as for `arrived` */
  arrivalOf(source: CallSource, isTrusted = false): CallArrival {
    return new Arrival(source, this.#addresses, isTrusted);
  }

  /** A call over gRPC or a WebSocket has ended for its client. @param left whether the client had left before */
  answered(context: CallContext, error: ConnectError | undefined, left: boolean): void {
    notify(this.#observers, (observer) => observer.answered?.(context, { error, left }));
  }
}

class Arrival implements CallArrival {
  readonly head: SourceHead;
  readonly isSecure: boolean;
  /** Read now: a connection that is closed has no address any more. */
  readonly #remoteAddress: string | undefined;
  readonly #addresses: ClientAddresses;
  readonly #isTrustedPeer: boolean;

  constructor({ head, isSecure, remoteAddress }: CallSource, addresses: ClientAddresses, isTrusted: boolean) {
    this.head = head;
    this.isSecure = isSecure;
    this.#remoteAddress = remoteAddress;
    this.#addresses = addresses;
    this.#isTrustedPeer = isTrusted;
  }

  get isTrusted(): boolean {
    return this.#isTrustedPeer || this.#addresses.isProxy(this.#remoteAddress);
  }

  get client(): string {
    return this.#addresses.ofHead(this.head.headers, this.#remoteAddress).ip;
  }
}
