/**
 * Hears of HTTP requests, whatever became of them: what metrics by route are made of. What an observer throws is a warning
 * of the process and changes nothing for the request.
 */
export interface HttpObserver {
  /**
   * A request was answered, or its client has left (status 499).
   *
   * @param route template of the route, or `(none)` where no route answered
   * @param seconds time from the request's head to the end of the answer
   */
  httpRequest?(route: string, method: string, status: number, seconds: number): void;
  /** Query parameters or JSON fields were ignored as unknown. */
  ignoredUnknown?(route: string, kind: "query" | "field", count: number, name: string): void;
}
