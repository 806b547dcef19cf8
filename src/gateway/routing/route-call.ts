/** What a route's handler gets to know of the match. */
export interface RouteCall {
  /** The decoded values of the route's variables, in their order. */
  readonly captures: readonly string[];
  /** The raw query without `?`. */
  readonly query: string;
}
