/** Looks up routes in a table of as many as its argument says: literals, variables at both ends, and verbs. */
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { compileRoute } from "../../src/gateway/routing/route.ts";
import { Router } from "../../src/gateway/routing/router.ts";
import { repeat, takePart } from "./take-part.ts";

const count = Number(process.argv[2]);

const shapes = [
  { httpMethod: "GET", template: (i: number) => `/v1/kind${i}`, target: (i: number) => `/v1/kind${i}` },
  {
    httpMethod: "GET",
    template: (i: number) => `/v1/kind${i}/{name}`,
    target: (i: number) => `/v1/kind${i}/abc-123?weight=5`,
  },
  {
    httpMethod: "DELETE",
    template: (i: number) => `/v1/{name=owners/*/kind${i}/*}`,
    target: (i: number) => `/v1/owners/7/kind${i}/12`,
  },
  {
    httpMethod: "POST",
    template: (i: number) => `/v1/kind${i}/{name}:close`,
    target: (i: number) => `/v1/kind${i}/abc-123:close`,
  },
];

const chosen = Array.from({ length: count }, (_, i) => ({ shape: shapes[i % shapes.length], i: i >> 2 }));
const method = BenchService.method.find;
const routes = chosen.flatMap(({ shape, i }) => {
  if (shape === undefined) return [];
  const { httpMethod, template } = shape;
  const source = "bench";
  return [
    compileRoute({
      method,
      httpMethod,
      template: template(i),
      body: "",
      responseBody: "",
      implicit: false,
      source,
    }),
  ];
});
const router = new Router(routes);
const requests = chosen.flatMap(({ shape, i }) =>
  shape === undefined ? [] : [{ httpMethod: shape.httpMethod, target: shape.target(i) }],
);

let next = 0;
function lookUp(): void {
  const request = requests[next];
  next = next + 1 === requests.length ? 0 : next + 1;
  if (request === undefined || router.match(request.httpMethod, request.target).kind !== "found") {
    throw new Error(`not found: ${request?.target}`);
  }
}

takePart({
  work: (ms) => repeat(ms, 1000, lookUp),
  sample: () => {
    const wrong = requests.filter(({ httpMethod, target }, index) => {
      const match = router.match(httpMethod, target);
      return match.kind !== "found" || match.route !== routes[index];
    });
    return JSON.stringify(wrong);
  },
});
