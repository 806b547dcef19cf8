/** Bare Fastify, which answers the same JSON. */
import { serveRoutes } from "./fastify-routes.ts";
import { takePart } from "./take-part.ts";

takePart({ port: await serveRoutes({ send: (parcel) => parcel, find: (query) => query }) });
