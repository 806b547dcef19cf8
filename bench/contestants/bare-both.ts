/** Bare Fastify and a bare grpc-js server in one process: the hand-written equivalent of the combined gateway. */
import { serveRoutes } from "./fastify-routes.ts";
import { startServer } from "./grpc-js-calls.ts";
import { takePart } from "./take-part.ts";

await startServer();
takePart({ port: await serveRoutes({ send: (parcel) => parcel, find: (query) => query }) });
