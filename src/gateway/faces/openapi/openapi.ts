import { checkOptions } from "../../../core/config/check-options.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { Contract, Face, FaceHost, FacePath, MountedFace } from "../face.ts";
import type { DocumentParts, Documents } from "./documents.ts";
import { type OpenapiOptions, openapiDefaults } from "./openapi-options.ts";
import { operationIds, Shown } from "./shown-routes.ts";

/**
 * The OpenAPI document of the rpcs of a server, as JSON and as YAML.
 *
 * It is made when it is first asked for, in the version 3.1.1, or 3.2.0 with `?version=3.2`.
 *
 * @throws SetupError naming the option that is wrong
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
export function openapi(options: Partial<OpenapiOptions> = {}): Face {
  checkOptions<OpenapiOptions>("openapi", options, openapiDefaults);
  const merged: OpenapiOptions = { ...openapiDefaults, ...options };
  const { path } = merged;
  if (!path.endsWith(".json"))
    throw new SetupError(`openapi: path: expected a path that ends in .json, found ${path}`);
  const paths = [path, path.replace(/\.json$/, ".yaml")];
  return { name: "openapi", paths, mount: (host) => new MountedOpenapi(merged, paths, host) };
}

class MountedOpenapi implements MountedFace {
  readonly #options: OpenapiOptions;
  readonly #paths: readonly string[];
  readonly #host: FaceHost;

  constructor(options: OpenapiOptions, paths: readonly string[], host: FaceHost) {
    this.#options = options;
    this.#paths = paths;
    this.#host = host;
  }

  use(contract: Contract): ReadonlyMap<string, FacePath> {
    const shown = new Shown(contract, this.#options);
    const options = this.#options;
    const host = this.#host;
    const parts: DocumentParts = {
      ...{ shown, ids: operationIds(shown), comments: contract.comments, options, host },
      registry: contract.registry,
    };
    let made: Promise<Documents> | undefined;
    const make = async (): Promise<Documents> => {
      const { Documents } = await import("./documents.ts"); // When a document is first asked for.
      return new Documents(parts);
    };
    const answer = async (exchange: HttpExchange): Promise<void> =>
      (await (made ??= make())).answer(exchange);
    const { guard } = options;
    return new Map(this.#paths.map((path) => [path, { methods: ["GET", "HEAD"], guard, answer }]));
  }

  describe(origin: string): readonly string[] {
    return [`[OPENAPI] ${origin}${this.#options.path}`];
  }
}
