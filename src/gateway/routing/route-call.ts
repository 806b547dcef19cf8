/** The result of matching a request, for the handler of the route. */
export interface RouteCall {
  /** The decoded values of the route's variables, in the order of the variables. */
  readonly captures: readonly string[];
  /** The raw query without `?`. */
  readonly query: string;
}
