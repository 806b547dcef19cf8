/** A route of the user's own, as it was given to Fastify. */
export interface OwnRoute {
  /** An HTTP method in capitals. */
  readonly method: string;
  /** Path, with patterns of Fastify. */
  readonly url: string;
}
