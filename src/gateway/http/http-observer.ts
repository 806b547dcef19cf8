/** What has read a request over HTTP/1.1: the fast lane, or the parser of Node. */
export type Http1Lane = "fast" | "node";

/**
 * Observes all HTTP requests, for metrics by route. An exception of an observer becomes a warning of the process and
 * changes nothing for the request.
 */
export interface HttpObserver {
  /**
   * A request was answered, or its client has disconnected (status 499).
   *
   * @param route template of the route, or `(none)` if no route answered
   * @param seconds time from the request's head to the end of the answer
   * @param lane what has read the request; undefined over other versions of HTTP, and in an app that listens itself
   */
  httpRequest?(route: string, method: string, status: number, seconds: number, lane?: Http1Lane): void;
  /** Query parameters or JSON fields were ignored as unknown. */
  ignoredUnknown?(route: string, kind: "query" | "field", count: number, name: string): void;
}
