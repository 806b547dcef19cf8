/** The property of requests by which a call gets the only one. */
export const readsOne: unique symbol = Symbol("readsOne");

/** The property of a source by which the request is taken that has come already. */
export const takesReady: unique symbol = Symbol("takesReady");

/** Reads the only request of a call: in place of the iteration, and once. No promise where it has come already. */
export type ReadOne<M> = () => M | Promise<M>;

/**
 * Requests of a call that takes one. What is around them passes the function on, so that the call waits for its request by
 * few promises: by the iteration each layer would add some, for the request and for the end behind it.
 */
export interface OneRequest<M> extends AsyncIterable<M> {
  /** Undefined where the source inside does not know that there is only one. */
  readonly [readsOne]: ReadOne<M> | undefined;
}

/** A source that may have requests already. */
export interface ReadySource<M> extends AsyncIterable<M> {
  /** Takes the first one, and ends the source; undefined where none has come, and nothing is changed. */
  [takesReady](): M | undefined;
}

/** The function that reads the only one of some requests; undefined where they are to be iterated over. */
export function oneOf<M>(requests: AsyncIterable<M> & Partial<OneRequest<M>>): ReadOne<M> | undefined {
  return requests[readsOne];
}

/** Takes a request that has come already, as `takesReady`; undefined for other sources. */
export function readyOf<M>(source: AsyncIterable<M> & Partial<ReadySource<M>>): M | undefined {
  return source[takesReady]?.();
}
