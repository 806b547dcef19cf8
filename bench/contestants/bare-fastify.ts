/** Bare Fastify with the same JSON responses; with the argument `http2` over HTTP/2. */
import { serveRoutes } from "./fastify-routes.ts";
import { takePart } from "./take-part.ts";

const http2 = process.argv[2] === "http2";

takePart({ port: await serveRoutes({ send: (parcel) => parcel, find: (query) => query }, { http2 }) });
