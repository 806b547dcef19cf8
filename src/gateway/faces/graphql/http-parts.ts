import type { HttpExchange } from "../../http/exchange.ts";
import type { BodyReader } from "../../http/request-body.ts";
import type { Executor } from "./execute.ts";
import type { GraphqlOptions } from "./graphql-options.ts";

/** What answers over HTTP with one contract. */
export interface HttpParts {
  readonly executor: Executor;
  readonly options: GraphqlOptions;
  readonly bodies: BodyReader;
  readonly page: ((exchange: HttpExchange) => boolean) | undefined;
  readonly heartbeatMs: number;
  readonly writeIdleMs: () => number;
}
