import { createRequire } from "node:module";
import type { FastifyServerOptions } from "fastify";

type Factories = NonNullable<NonNullable<FastifyServerOptions["schemaController"]>["compilersFactory"]>;
type BuildValidator = NonNullable<Factories["buildValidator"]>;
type BuildSerializer = NonNullable<Factories["buildSerializer"]>;

/**
 * Fastify's own compilers of JSON schemas, loaded for the first route with a schema: loading them takes a tenth of the
 * start, and rpcs have no schemas.
 */
export const schemaCompilers: Factories = {
  buildValidator: ((schemas: unknown, options: unknown) => {
    const compile = validators()(schemas, options);
    return (route: RouteSchema) => compile(route.httpPart === "headers" ? inLowerCase(route) : route);
  }) as BuildValidator, // Its overloads separate compilers of values and of types.
  buildSerializer: (schemas, options) => serializers()(schemas, options),
};

/** The parts of a route that a compiler receives. */
interface RouteSchema {
  readonly schema: { readonly properties?: object; readonly required?: readonly string[] };
  readonly httpPart?: string;
}

/** Resolves packages as Fastify does. */
const requireAsEngine = createRequire(import.meta.resolve("fastify"));
const validators =
  once<(schemas: unknown, options: unknown) => (route: RouteSchema) => unknown>("@fastify/ajv-compiler");
const serializers = once<BuildSerializer>("@fastify/fast-json-stringify-compiler");

/** The builder from the main export of a package, created at the first call. */
function once<T>(name: string): () => T {
  let made: { readonly builder: T } | undefined;
  return () => {
    made ??= { builder: (requireAsEngine(name) as () => T)() }; // As Fastify loads them.
    return made.builder;
  };
}

/** Converts the names of headers in a schema to lower case; Fastify does so only for compilers that it loads itself. */
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
