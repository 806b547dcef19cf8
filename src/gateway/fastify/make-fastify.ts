import { createRequire } from "node:module";
import type * as Fastify from "fastify";
import type { FastifyInstance, FastifyServerOptions } from "fastify";
import { schemaCompilers } from "./schema-compilers.ts";

/** Loads Fastify late: programs without a gateway import this room, too. */
const require = createRequire(import.meta.url);

/** A Fastify of ours, which loads what routes with schemas need with the first of them. */
export function makeFastify(options: FastifyServerOptions): FastifyInstance {
  const { fastify } = require("fastify") as typeof Fastify; // `require` has no types.
  return fastify({ ...options, schemaController: { compilersFactory: schemaCompilers } });
}
