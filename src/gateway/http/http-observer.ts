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
   */
  httpRequest?(route: string, method: string, status: number, seconds: number): void;
  /** Query parameters or JSON fields were ignored as unknown. */
  ignoredUnknown?(route: string, kind: "query" | "field", count: number, name: string): void;
}
