/** Bare Fastify with the same JSON responses. */
import { serveRoutes } from "./fastify-routes.ts";
import { takePart } from "./take-part.ts";

takePart({ port: await serveRoutes({ send: (parcel) => parcel, find: (query) => query }) });
