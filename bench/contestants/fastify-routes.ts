/** What one writes by hand for the two small calls on Fastify, answered by `service`. */
import { fastify, type FastifyReply } from "fastify";

/** The parcel of a POST, as JSON. */
export interface Parcel {
  readonly name: string;
  readonly weight: number;
  readonly address: string;
}

/** What a GET asks for. */
export interface Query {
  readonly name: string;
  readonly weight: number;
  readonly tags: string[];
}

/** Answers with JSON values, or promises of them. */
export interface Answers {
  send(parcel: Parcel): unknown;
  find(query: Query): unknown;
}

/** Serves the routes on a free port. */
export async function serveRoutes(answers: Answers): Promise<number> {
  const app = fastify();
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

/** Fastify waits for promises that a handler returns; a value that is there is sent without one. */
function answerWith(reply: FastifyReply, answer: unknown): Promise<unknown> | undefined {
  if (answer instanceof Promise) return answer;
  void reply.send(answer);
  return undefined;
}
