/** Hand-written Fastify routes for the two small calls, answered by `service`. */
import { fastify, type FastifyInstance, type FastifyReply } from "fastify";

/** The parcel of a POST, as JSON. */
export interface Parcel {
  readonly name: string;
  readonly weight: number;
  readonly address: string;
}

/** The request of a GET. */
export interface Query {
  readonly name: string;
  readonly weight: number;
  readonly tags: string[];
}

/** Returns JSON values or promises of them. */
export interface Answers {
  send(parcel: Parcel): unknown;
  find(query: Query): unknown;
}

/** Serves the routes on a free port; over HTTP/2 if asked for, else over HTTP/1.1. */
export async function serveRoutes(
  answers: Answers,
  { http2 = false, more }: { readonly http2?: boolean; readonly more?: (app: FastifyInstance) => void } = {},
): Promise<number> {
  // The two kinds of servers differ in types of sockets only, which these routes do not use.
  const app = http2 ? (fastify({ http2: true }) as unknown as FastifyInstance) : fastify();
  more?.(app);
  app.post<{ Body: Parcel }>("/bench/v1/parcels", (request, reply) => {
    const { name, weight, address } = request.body;
    return answerWith(reply, answers.send({ name, weight, address }));
  });
  app.get<{ Params: { name: string }; Querystring: { weight: string; tags: string | string[] } }>(
    "/bench/v1/parcels/:name",
    (request, reply) => {
      const { weight, tags } = request.query;
      const query = { name: request.params.name, weight: Number(weight), tags: [tags].flat() };
      return answerWith(reply, answers.find(query));
    },
  );
  return Number(new URL(await app.listen({ host: "127.0.0.1", port: 0 })).port);
}

/** Sends a value directly, without the promise that Fastify would await. */
function answerWith(reply: FastifyReply, answer: unknown): Promise<unknown> | undefined {
  if (answer instanceof Promise) return answer;
  void reply.send(answer);
  return undefined;
}
