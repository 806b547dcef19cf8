/** A bare grpc-js server. */
import { startServer } from "./grpc-js-calls.ts";
import { takePart } from "./take-part.ts";

takePart({ port: await startServer() });
