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
const validators = once(
  () => (requireAsEngine("@fastify/ajv-compiler") as () => BuildAny<(route: RouteSchema) => unknown>)(), // As Fastify loads it.
);
const serializers = once(() =>
  (requireAsEngine("@fastify/fast-json-stringify-compiler") as () => BuildSerializer)(),
);

type BuildAny<T> = (schemas: unknown, options: unknown) => T;

/** Makes a value at the first call. */
function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
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
