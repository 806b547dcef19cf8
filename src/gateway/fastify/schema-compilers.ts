import { createRequire } from "node:module";
import type { FastifyServerOptions } from "fastify";

type Factories = NonNullable<NonNullable<FastifyServerOptions["schemaController"]>["compilersFactory"]>;
type BuildValidator = NonNullable<Factories["buildValidator"]>;
type BuildSerializer = NonNullable<Factories["buildSerializer"]>;

/**
 * Fastify's own compilers of JSON schemas, which are loaded when a route first has one: they are a tenth of what a start
 * costs, and rpcs have none.
 */
export const schemaCompilers: Factories = {
  buildValidator: ((schemas: unknown, options: unknown) => {
    const compile = validators()(schemas, options);
    return (route: RouteSchema) => compile(route.httpPart === "headers" ? inLowerCase(route) : route);
  }) as BuildValidator, // Its overloads are for one compiler of values and one of types.
  buildSerializer: (schemas, options) => serializers()(schemas, options),
};

/** What a compiler gets of a route. */
interface RouteSchema {
  readonly schema: { readonly properties?: object; readonly required?: readonly string[] };
  readonly httpPart?: string;
}

/** The packages as Fastify finds them. */
const requireAsEngine = createRequire(import.meta.resolve("fastify"));
const validators =
  once<(schemas: unknown, options: unknown) => (route: RouteSchema) => unknown>("@fastify/ajv-compiler");
const serializers = once<BuildSerializer>("@fastify/fast-json-stringify-compiler");

/** The builder that the main export of a package makes, made when first asked for. */
function once<T>(name: string): () => T {
  let made: { readonly builder: T } | undefined;
  return () => {
    made ??= { builder: (requireAsEngine(name) as () => T)() }; // As Fastify takes them.
    return made.builder;
  };
}

/** Names of headers have no case; Fastify sees to that only where it loads the compilers by itself. */
function inLowerCase(route: RouteSchema): RouteSchema {
  const { properties, required } = route.schema;
  const names = Object.entries(properties ?? {}).map(([name, one]) => [name.toLowerCase(), one] as const);
  return {
    ...route,
    schema: {
      ...route.schema,
      ...(properties && { properties: Object.fromEntries(names) }),
      ...(required && { required: required.map((name) => name.toLowerCase()) }),
    },
  };
}
