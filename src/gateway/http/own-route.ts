/** A route that the user has added to Fastify. */
export interface OwnRoute {
  /** An HTTP method in capitals. */
  readonly method: string;
  /** Path, in the pattern syntax of Fastify. */
  readonly url: string;
}
