/** Looks up routes in a table, whose size is the argument: literals, variables at both ends, and verbs. */
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { compileRoute, type Route } from "../../src/core/http-rule/route.ts";
import { Router } from "../../src/gateway/routing/router.ts";
import { repeat, takePart } from "./take-part.ts";

const routeCount = Number(process.argv[2]);

/** The number and the shapes of the requests do not depend on the table, so that only the size of the table differs. */
const requestCount = 1000;

/** One shape of routes: the template of its kind number `k`, and the target of a request numbered `i` for it. */
interface Shape {
  readonly httpMethod: string;
  readonly template: (k: number) => string;
  readonly target: (k: number, i: number) => string;
}

interface Lookup {
  readonly httpMethod: string;
  readonly target: string;
  readonly route: Route;
}

const shapes: readonly Shape[] = [
  { httpMethod: "GET", template: (k) => `/v1/kind${k}`, target: (k, i) => `/v1/kind${k}?weight=${i}` },
  { httpMethod: "GET", template: (k) => `/v1/kind${k}/{name}`, target: (k, i) => `/v1/kind${k}/abc-${i}` },
  {
    httpMethod: "DELETE",
    template: (k) => `/v1/{name=owners/*/kind${k}/*}`,
    target: (k, i) => `/v1/owners/7/kind${k}/${i}`,
  },
  {
    httpMethod: "POST",
    template: (k) => `/v1/kind${k}/{name}:close`,
    target: (k, i) => `/v1/kind${k}/abc-${i}:close`,
  },
];

function compile({ httpMethod, template }: Shape, k: number): Route {
  const { find: method } = BenchService.method;
  const source = "bench";
  return compileRoute({
    method,
    httpMethod,
    template: template(k),
    body: "",
    responseBody: "",
    implicit: false,
    source,
  });
}

const tables = shapes.map((shape, index) => {
  const kinds = Math.ceil((routeCount - index) / shapes.length);
  return { shape, routes: Array.from({ length: kinds }, (_, k) => compile(shape, k)) };
});
const router = new Router(tables.flatMap(({ routes }) => routes));

const lookups: readonly Lookup[] = Array.from({ length: requestCount / shapes.length }, (_, i) =>
  tables.flatMap(({ shape: { httpMethod, target }, routes }) => {
    const k = i % routes.length;
    const route = routes[k];
    return route === undefined ? [] : [{ httpMethod, target: target(k, i), route }];
  }),
).flat();

let next = 0;
function lookUp(): void {
  const request = lookups[next];
  next = next + 1 === lookups.length ? 0 : next + 1;
  if (request === undefined || router.match(request.httpMethod, request.target).kind !== "found") {
    throw new Error(`not found: ${request?.target}`);
  }
}

takePart({
  work: (ms) => repeat(ms, 1000, lookUp),
  sample: () => {
    const wrong = lookups.filter(({ httpMethod, target, route }) => {
      const match = router.match(httpMethod, target);
      return match.kind !== "found" || match.route !== route;
    });
    return JSON.stringify(wrong.map(({ target }) => target));
  },
});
