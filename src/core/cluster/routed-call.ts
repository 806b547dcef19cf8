import type { CallRoute, RoutedTarget, RouteFault } from "../discovery/routed-resolver.ts";
import { ConnectError } from "../errors/errors.ts";
import { LateSource } from "../http2/late-source.ts";
import type { ReplyFields } from "../http2/reply-status.ts";
import type { AttemptedCall, CallHead, Progress, StreamSource } from "../http2/stream-source.ts";
import type { Clock } from "../time/clock.ts";

/** A group of endpoints as routed calls see it. */
export interface CalledGroup {
  /** Counts a call. @returns its streams, or the error of a call too many */
  begin(head: CallHead): StreamSource | ConnectError;
  /** A call that has begun is over. */
  end(): void;
}

/** A routed cluster as its calls see it. */
export interface RoutedHost {
  /** First word of errors. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Has the call go on by `run`, now or as soon as there are routes, or refuses it. */
  admit(call: RoutedCall): void;
  /** The call does not wait any more. */
  forget(call: RoutedCall): void;
  group(name: string): CalledGroup | undefined;
}

/** One call of a target with routes: finds its route, suffers its faults, and is a call of a group of endpoints then. */
export class RoutedCall extends LateSource {
  readonly #host: RoutedHost;
  readonly #head: CallHead;
  #call: AttemptedCall | undefined;
  #group: CalledGroup | undefined;
  #headers: Headers | undefined;
  #isOver = false;
  #cancelDelay: (() => void) | undefined;

  constructor(host: RoutedHost, head: CallHead) {
    super();
    this.#host = host;
    this.#head = head;
  }

  begin(call: AttemptedCall): void {
    this.#call = call;
    this.#host.admit(this);
  }

  /** Goes on by the routes of now. */
  run(target: RoutedTarget): void {
    if (this.#isOver) return;
    const { method } = this.#head;
    const path = `/${method.parent.typeName}/${method.name}`;
    const route = target.route({ path, headers: () => (this.#headers ??= this.#read()) }, this.#host.random);
    if (route instanceof ConnectError) {
      const text = `${this.#host.name}: ${route.rawMessage}`;
      this.refuse(new ConnectError(text, route.code, undefined, undefined, route.cause));
      return;
    }
    if (route.timeoutMs !== undefined) this.#head.limit(route.timeoutMs);
    this.#suffer(route, 0);
  }

  /** Ends the call. */
  refuse(error: ConnectError): void {
    if (!this.#isOver) this.#call?.refuse(error); // Which abandons this one.
  }

  override ended(
    call: AttemptedCall,
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
  ): boolean {
    const goesOn = super.ended(call, error, progress, trailers);
    if (!goesOn) this.#end();
    return goesOn;
  }

  override abandoned(call: AttemptedCall, reason: ConnectError): void {
    const isFirst = !this.#isOver;
    this.#end();
    if (isFirst) super.abandoned(call, reason);
  }

  /** The faults of the route one after the other, from the given one on. */
  #suffer(route: CallRoute, first: number): void {
    for (let index = first; index < route.faults.length; index++) {
      const fault = route.faults[index];
      if (fault === undefined || fault.active >= fault.maxActive) continue;
      const { delay } = fault;
      if (delay === undefined || this.#host.random() >= delay.share) {
        if (this.#abort(fault)) return;
        continue;
      }
      fault.active++;
      const after = this.#host.clock.after(delay.ms, () => {
        this.#cancelDelay?.();
        if (!this.#isOver && !this.#abort(fault)) this.#suffer(route, index + 1);
      });
      this.#cancelDelay = () => {
        after();
        fault.active--;
        this.#cancelDelay = undefined;
      };
      return;
    }
    this.#go(route.group);
  }

  /** @returns whether the call has ended */
  #abort({ abort }: RouteFault): boolean {
    if (abort === undefined || this.#host.random() >= abort.share) return false;
    this.refuse(abort.error);
    return true;
  }

  #go(name: string): void {
    const call = this.#call;
    const group = this.#host.group(name);
    if (call === undefined || group === undefined) return; // Not so: routes lead to groups of theirs.
    const source = group.begin(this.#head);
    if (source instanceof ConnectError) {
      this.refuse(source);
      return;
    }
    this.#group = group;
    this.source = source;
    source.begin(call);
  }

  #read(): Headers {
    const headers = new Headers();
    this.#head.eachRequestHeader((name, value) => headers.append(name, value));
    return headers;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.forget(this);
    this.#cancelDelay?.();
    this.#group?.end();
  }
}
