import { test } from "node:test";
import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { Router } from "../../../src/gateway/routing/router.ts";
import { buildRouter, buildService, compileService, on, outcome } from "./routing-fixture.ts";

/** Request (`GET` unless said) and what becomes of it. */
type Cases = readonly (readonly [request: string, expected: string])[];

function check(router: Router, cases: Cases): void {
  for (const [request, expected] of cases) {
    const [httpMethod, target] = request.includes(" ") ? request.split(" ", 2) : ["GET", request];
    assert.equal(outcome(router, httpMethod ?? "", target ?? ""), expected, request);
  }
}

test("literal goes before *, * before **, and ** may take no segment", () => {
  const routes = ["GET /a/**", "GET /b/*", "GET /c/*/d/**", "GET /c/*/d/e", "GET /c/f/d/e", "GET /"];
  for (const order of [routes, routes.toReversed()]) {
    const name = (route: string): string => `R${order.indexOf(route) + 1}`;
    check(buildRouter(order), [
      ["/a/b", name("GET /a/**")],
      ["/a/b/c", name("GET /a/**")],
      ["/a", name("GET /a/**")],
      ["/b/c", name("GET /b/*")],
      ["b/c/d", "400"],
      ["/b/c/d", "404"],
      ["/c/u/d/v", name("GET /c/*/d/**")],
      ["/c/v/d/w/x", name("GET /c/*/d/**")],
      ["/c/x/y/d/z", "404"],
      ["/c/x/d/e", name("GET /c/*/d/e")],
      ["/c/f/d/e", name("GET /c/f/d/e")],
      ["/", name("GET /")],
    ]);
  }
});

test("variables capture the segments of their patterns", () => {
  const router = buildRouter([
    "GET /a/{x}/c/d/e",
    "GET /{x=a/*}/b/{y=*}/c",
    "GET /a/{x=b/*}/{y=d/**}",
    "GET /alpha/{x=*}/beta/{y=**}/gamma",
    "GET /{x=*}/a",
    "GET /{x=**}/a/b",
    "GET /a/b/{x=*}",
    "GET /a/b/c/{x=**}",
    "GET /{x=*}/d/e/f/{y=**}",
  ]);
  check(router, [
    ["/a/book/c/d/e", "R1 x=book"],
    ["/a/hello/b/world/c", "R2 x=a/hello y=world"],
    ["/a/b/zoo/d/animal/tiger", "R3 x=b/zoo y=d/animal/tiger"],
    ["/alpha/dog/beta/eat/bones/gamma", "R4 x=dog y=eat/bones"],
    ["/alpha/dog/beta/gamma", "R4 x=dog y="],
    ["/foo/a", "R5 x=foo"],
    ["/foo/bar/a/b", "R6 x=foo/bar"],
    ["/a/b", "R6 x="],
    ["/a/b/foo", "R7 x=foo"],
    ["/a/b/c/foo/bar/baz", "R8 x=foo/bar/baz"],
    ["/a/b/c", "R8 x="],
    ["/foo/d/e/f/bar/baz", "R9 x=foo y=bar/baz"],
  ]);
});

test("** takes as few segments as the literals after it allow", () => {
  const router = buildRouter([
    "GET /a/{x=b/**}",
    "GET /a/{x=b/**}/z",
    "GET /a/{x=b/**}/y/z",
    "GET /a/{x=b/**}:verb",
    "GET /a/{x=**}",
    "GET /a/{x=b/*/y/z/**}/foo",
    "GET /a/{x=b/*/**/y/z}/foo",
  ]);
  check(router, [
    ["/a/b/hello/world/c", "R1 x=b/hello/world/c"],
    ["/a/b/world/c/z", "R2 x=b/world/c"],
    ["/a/b/world/c/y/z", "R3 x=b/world/c"],
    ["/a/b/world/c:verb", "R4 x=b/world/c"],
    ["/a/hello/b/world/c", "R5 x=hello/b/world/c"],
    ["/a/b/z", "R2 x=b"],
    ["/a/b", "R1 x=b"],
    ["/a/b/foo/y/z/bar/baz/foo", "R6 x=b/foo/y/z/bar/baz"],
    ["/a/b/foo/bar/baz/y/z/foo", "R7 x=b/foo/bar/baz/y/z"],
  ]);
});

test("backtracking includes the HTTP method", () => {
  check(buildRouter(["GET /a/lit", "POST /a/{x}"]), [
    ["POST /a/lit", "R2 x=lit"],
    ["GET /a/lit", "R1"],
    ["GET /a/other", "405 OPTIONS, POST"],
  ]);
  check(buildRouter(["GET /a/b/c", "GET /a/{x}/d", "GET /{y}/b/e", "GET /**"]), [
    ["/a/b/c", "R1"],
    ["/a/b/d", "R2 x=b"],
    ["/a/b/e", "R3 y=a"],
    ["/a/b/f", "R4"],
  ]);
});

test("a catch-all never hides a literal, in either order", () => {
  check(buildRouter(["GET /v3/files", "GET /{path=**}"]), [["/v3/files", "R1"]]);
  check(buildRouter(["GET /{path=**}", "GET /v3/files"]), [["/v3/files", "R2"]]);
});

test("a method's own route goes before that of *", () => {
  const router = buildRouter(["* /a/{x}", "GET /a/{y}", "* /b"]);
  check(router, [
    ["GET /a/1", "R2 y=1"],
    ["HEAD /a/1", "R2 y=1"],
    ["PURGE /a/1", "R1 x=1"],
    ["TRACE /b", "R3"],
  ]);
});

test("H20: wrong method answers 405 with a sorted Allow", () => {
  check(buildRouter(["GET /a/{x}", "DELETE /a/{x}", "PUT /a/{x}/b", "POST /**"]), [
    ["PUT /a/1", "405 DELETE, GET, HEAD, OPTIONS, POST"],
  ]);
  const router = buildRouter(["GET /a/{x}", "DELETE /a/{x}", "POST /a/lit", "POST /c"]);
  check(router, [
    ["PUT /a/1", "405 DELETE, GET, HEAD, OPTIONS"],
    ["PUT /a/lit", "405 DELETE, GET, HEAD, OPTIONS, POST"],
    ["OPTIONS /a/1", "405 DELETE, GET, HEAD, OPTIONS"],
    ["GET /c", "405 OPTIONS, POST"],
    ["TRACE /c", "405 OPTIONS, POST"],
    ["HEAD /c", "405 OPTIONS, POST"],
    ["PUT /d", "404"],
    ["OPTIONS /d", "404"],
  ]);
});

test("HEAD runs the GET route unless it has its own", () => {
  check(buildRouter(["GET /a/{x}", "GET /b", "HEAD /b"]), [
    ["HEAD /a/1", "R1 x=1"],
    ["HEAD /b", "R3"],
    ["GET /b", "R2"],
  ]);
});

test("verbs: the colon belongs to the value where no such verb is registered", () => {
  check(buildRouter(["GET /person", "GET /person/{id=*}", "GET /{x=**}:verb"]), [
    ["/person:verb", "R3 x=person"],
    ["/person/jason:verb", "R3 x=person/jason"],
    ["/person/jason:other", "R2 id=jason:other"],
    ["/person/jason%3Averb", "R2 id=jason:verb"],
    ["/person/jason:ver%62", "R3 x=person/jason"],
    ["/person/jason:", "R2 id=jason:"],
    ["/person/:verb", "R2 id=:verb"],
    ["/animal/cat:other", "404"],
    ["/animal/cat:verb/", "404"],
  ]);
  check(buildRouter(["GET /{a=*}/{b=*}:verb"]), [["/some:verb/const:verb", "R1 a=some:verb b=const"]]);
  check(buildRouter(["GET /some/*:verb"]), [
    ["/some/other:verb/", "404"],
    ["/some/other:verb", "R1"],
  ]);
});

test("verbs: the longest registered one wins", () => {
  const router = buildRouter(["GET /{name}:bla:baa", "GET /{id}:baa", "GET /{x}"]);
  check(router, [
    ["/x:bla:baa", "R1 name=x"],
    ["/x:blu:baa", "R2 id=x:blu"],
    ["/urn:x:1", "R3 x=urn:x:1"],
    ["/a:b:bla:baa", "R1 name=a:b"],
  ]);
});

test("verbs: a verb that is registered for other methods is 405, never part of a value", () => {
  const router = buildRouter([
    "DELETE /items/{id}",
    "GET /items/{id}",
    "POST /items/{id}:cancel",
    "POST /users/{id}:ban",
  ]);
  check(router, [
    ["POST /items/1:cancel", "R3 id=1"],
    ["DELETE /items/1:cancel", "405 OPTIONS, POST"],
    ["GET /items/1:cancel", "405 OPTIONS, POST"],
    ["DELETE /items/1:other", "R1 id=1:other"],
    // The verb belongs to another path, so here it is data.
    ["DELETE /items/1:ban", "R1 id=1:ban"],
    ["DELETE /items/1%3Acancel", "R1 id=1:cancel"],
  ]);
});

test("trailing slashes match nothing, or are ignored when asked", () => {
  const routes = ["GET /a", "GET /a/{x}", "GET /f/{path=**}", "POST /a/{x}:run", "GET /"];
  check(buildRouter(routes), [
    ["/a/", "404"],
    ["/a/1/", "404"],
    ["/f/", "R3 path="],
    ["/f/x/", "R3 path=x/"],
    ["/", "R5"],
    ["//", "404"],
  ]);
  check(buildRouter(routes, { trailingSlash: "ignore" }), [
    ["/a/", "R1"],
    ["/a/1/", "R2 x=1"],
    ["/f/", "R3 path="],
    ["/f/x/", "R3 path=x/"],
    ["/f/x//", "R3 path=x//"],
    ["POST /a/1:run/", "R4 x=1"],
    ["/", "R5"],
    ["//", "404"],
    ["/a//", "404"],
  ]);
});

test("T14: * needs a non-empty segment", () => {
  check(buildRouter(["GET /items/{id}", "GET /s/{x}/b/{y}"]), [
    ["/items/", "404"],
    ["/items", "404"],
    ["/s//b/1", "404"],
    ["/s/1/b/", "404"],
  ]);
});

test("** takes empty segments, the first and the last one too", () => {
  check(buildRouter(["GET /f/{path=**}", "GET /{name=objects/**}"]), [
    ["/f/a//b", "R1 path=a//b"],
    ["/f//etc/passwd", "R1 path=/etc/passwd"],
    ["/f///", "R1 path=//"],
    ["/objects", "R2 name=objects"],
    ["/objects/a/b/", "R2 name=objects/a/b/"],
    ["POST /objects/a/", "405 GET, HEAD, OPTIONS"],
    ["//f/a", "404"],
  ]);
  check(buildRouter(["GET /{path=**}", "GET /a/{path=**}/b", "GET /{x}"]), [
    ["/", "R1 path="],
    ["/a/", "R1 path=a/"],
    ["//", "R1 path=/"],
    ["////", "R1 path=///"],
    ["/a", "R3 x=a"],
    ["/a/b", "R2 path="],
    ["/a//b", "R2 path="],
    ["/a///b", "R2 path=/"],
    ["/a/b/", "R1 path=a/b/"],
  ]);
  check(buildRouter(["GET /{path=**}", "GET /a/{path=**}/b", "GET /{x}"], { trailingSlash: "ignore" }), [
    ["/a/", "R3 x=a"],
    ["/a/1/b/", "R2 path=1"],
    ["/c/d/", "R1 path=c/d/"],
  ]);
});

test("Allow of a path that takes any method", () => {
  check(buildRouter(["* /any/{x}"]), [
    ["TRACE /any/1", "R1 x=1"],
    ["CONNECT /any/1", "405 DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"],
  ]);
});

test("a wildcard without a name takes nothing that cannot be decoded", () => {
  check(buildRouter(["GET /one/*", "GET /all/**"]), [
    ["/one/%zz", "400"],
    ["/all/a/%ff", "400"],
    ["/one/%20", "R1"],
  ]);
  check(buildRouter(["GET /one/{x}/*"]), [["/one/a/%zz", "400"]]);
});

const decodings = [
  ["/a/{x}/c", "/a/p%20q%2Fr+/c", "R1 x=p q/r+", "R1 x=p q/r+", "R1 x=p q/r+"],
  [
    "/a/{x=p/*/q/*}/c",
    "/a/p/foo%20foo/q/bar%2Fbar/c",
    "R1 x=p/foo foo/q/bar%2Fbar",
    "R1 x=p/foo foo/q/bar%2Fbar",
    "R1 x=p/foo foo/q/bar/bar",
  ],
  ["/a/{x=**}/c", "/a/p/q%2fr+/c", "R1 x=p/q%2fr+", "R1 x=p/q%2fr+", "R1 x=p/q/r+"],
  ["/a/{y=**}/c", "/a/%21%23%24%2F%3A%40/c", "R1 y=!#$%2F:@", "R1 y=%21%23%24%2F%3A%40", "R1 y=!#$/:@"],
  ["/a/{x}", "/a/%2525", "R1 x=%25", "R1 x=%25", "R1 x=%25"],
  ["/a/{x}", "/a/%zz", "400", "R1 x=%zz", "400"],
  ["/a/{x}", "/a/%ff", "400", "R1 x=%ff", "400"],
  ["/a/{x}", "/a/", "404", "404", "404"],
  ["/a/{x}", "/a/caf%C3%A9", "R1 x=café", "R1 x=café", "R1 x=café"],
  // The same bytes unescaped, as Node hands them over.
  ["/a/{x}", "/a/caf\u00c3\u00a9", "R1 x=café", "R1 x=café", "R1 x=café"],
] as const;

test("escapes in captures are decoded as the option says", () => {
  for (const [template, target, spec, reserved, all] of decodings) {
    const routes = [`GET ${template}`];
    assert.equal(outcome(buildRouter(routes), "GET", target), spec, `spec ${target}`);
    assert.equal(
      outcome(buildRouter(routes, { pathDecoding: "reserved" }), "GET", target),
      reserved,
      `reserved ${target}`,
    );
    assert.equal(outcome(buildRouter(routes, { pathDecoding: "all" }), "GET", target), all, `all ${target}`);
  }
});

test("T15: %2F in a single segment is data", () => {
  check(buildRouter(["GET /a/{name}", "GET /a/{x}/{y}"]), [["/a/b%2Fc", "R1 name=b/c"]]);
});

test("T16: %2F in several segments stays, %252F is decoded once", () => {
  check(buildRouter(["GET /f/{name=**}"]), [
    ["/f/a%2Fb/c", "R1 name=a%2Fb/c"],
    ["/f/a%252Fb", "R1 name=a%2Fb"],
  ]);
});

test("H21: malformed escapes and invalid UTF-8 are 400", () => {
  for (const router of [
    buildRouter(["GET /v1/{name}"]),
    buildRouter(["GET /v1/{path=**}"]),
    buildRouter(["GET /other"]),
  ]) {
    check(router, [
      ["/v1/%zz", "400"],
      ["/v1/%", "400"],
      ["/v1/%c0%af", "400"],
      ["/v1/%ff", "400"],
      ["/v1/%ed%a0%80", "400"],
      ["/v1/\u00ff", "400"],
    ]);
  }
});

test("H21: the refusal is INVALID_ARGUMENT and names the field", () => {
  const match = buildRouter(["GET /v1/{name}/x"]).match("GET", "/v1/%zz/x");
  assert.equal(match.kind, "bad-path");
  if (match.kind !== "bad-path") return;
  assert.equal(match.error.code, Code.InvalidArgument);
  const [detail] = match.error.findDetails(BadRequestSchema);
  assert.deepEqual(
    detail?.fieldViolations.map(({ field }) => field),
    ["name"],
  );
});

test("literals are compared after normalising escapes of unreserved characters", () => {
  const literals = ["GET /a/%61%2db%2fc/x", "GET /café/{x}", "GET /a/lit", "GET /a/{x}", "GET /a/é"];
  check(buildRouter(literals), [
    ["/%61/%61-b%2Fc/%78", "R1"],
    ["/a/a-b%2fc/x", "R1"],
    ["/caf%c3%a9/1", "R2 x=1"],
    ["/caf\u00c3\u00a9/1", "R2 x=1"],
    ["/a/\u00c3\u00a9", "R5"],
    ["/a/%C3%a9", "R5"],
    // Reserved characters differ from their escapes.
    ["/a/l%69t", "R3"],
    ["/a/%6Cit", "R3"],
    ["/a/l%2569t", "R4 x=l%69t"],
    ["/A/lit", "404"],
  ]);
});

test("H23: dot segments are never resolved and 400 where a variable would take them", () => {
  const router = buildRouter([
    "GET /admin",
    "GET /v1/{name}",
    "GET /v1/{x}/admin",
    "GET /f/{path=**}",
    "GET /p/*",
  ]);
  check(router, [
    ["/v1/../admin", "400"],
    ["/v1/%2e%2e/admin", "400"],
    ["/v1/%2e%2e%2fadmin", "400"],
    ["/v1/..%2Fadmin", "400"],
    ["/v1/..%5cadmin", "400"],
    ["/v1/a%5C..", "400"],
    ["/v1/.", "400"],
    ["/v1/..", "400"],
    ["/f/a/../../admin", "400"],
    ["/f/a/%2E%2E%2fadmin", "400"],
    ["/v1/../../admin", "404"],
    ["//admin", "404"],
    ["/ADMIN", "404"],
    ["/./admin", "404"],
    ["/p/..", "R5"],
    ["/v1/...", "R2 name=..."],
    ["/v1/a..b", "R2 name=a..b"],
    ["/v1/.hidden", "R2 name=.hidden"],
    ["/f/a/..b/.c", "R4 path=a/..b/.c"],
  ]);
  check(buildRouter(["GET /v1/{name}", "GET /f/{path=**}"], { rejectDotSegments: false }), [
    ["/v1/%2e%2e", "R1 name=.."],
    ["/f/a/../b", "R2 path=a/../b"],
  ]);
});

test("the target is cut at ? and refused with #", () => {
  const router = buildRouter(["GET /a", "GET /b/{x}"]);
  const match = router.match("GET", "/b/1?y=2&z=/a?b");
  assert.ok(match.kind === "found");
  assert.deepEqual([match.captures, match.query], [["1"], "y=2&z=/a?b"]);
  check(router, [
    ["/a?", "R1"],
    ["/a?x=%zz", "R1"],
    ["/a#frag", "400"],
    ["/a?x#frag", "400"],
    ["*", "400"],
    ["", "400"],
    ["http://h/a", "400"],
  ]);
});

test("T28: two rpcs with the same shape, verb and method are refused, both named", () => {
  const clashes = [
    ["GET /a/{x}", "GET /a/{y}"],
    ["GET /a/{x=b/*}", "GET /a/b/{y}"],
    ["GET /a/{x=**}/c:v", "GET /a/**/c:v"],
    ["* /a", "* /a"],
    ["GET /%61", "GET /a"],
    ["GET /", "GET /"],
  ] as const;
  for (const routes of clashes) {
    assert.throws(
      () => buildRouter(routes),
      /R1 \(.*routing\.proto\).*R2 \(.*routing\.proto\) match the same requests/s,
    );
  }
  // Neither another method nor another verb clashes.
  buildRouter(["GET /a/{x}", "POST /a/{y}", "GET /a/{z}:v", "* /a/{a}", "HEAD /a/{b}"]);
  const one = compileService(buildService({ Get: on("GET /a/{x}") }, { name: "One" }));
  const two = compileService(buildService({ Get: on("GET /a/{x}") }, { name: "Two" }));
  assert.throws(
    () => new Router([...one, ...two]),
    /test\.routing\.v1\.One\.Get.*test\.routing\.v1\.Two\.Get/,
  );
});

test("T28: a rule on a path that the gateway serves itself is refused", () => {
  const reservedPaths = ["/healthz"];
  for (const route of ["GET /healthz", "* /%68ealthz"]) {
    assert.throws(
      () => buildRouter([route], { reservedPaths }),
      /test\.routing\.v1\.Routing\.R1.*\/healthz itself/,
    );
  }
  buildRouter(["GET /{x}", "GET /healthz/x"], { reservedPaths });
});

test("implicit paths give way to rules of the same rpc and clash with those of others", () => {
  const path = "POST /test.routing.v1.Routing/Get";
  const own = new Router(
    compileService(buildService({ Get: on(path, { body: "x" }), List: undefined }), true),
  );
  const match = own.match("POST", "/test.routing.v1.Routing/Get");
  assert.ok(match.kind === "found" && !match.route.implicit);
  assert.deepEqual(
    own.routes.map(({ implicit }) => implicit),
    [false, true],
  );
  check(own, [
    ["POST /test.routing.v1.Routing/List", "List"],
    ["GET /test.routing.v1.Routing/List", "405 OPTIONS, POST"],
  ]);
  const foreign = compileService(buildService({ Get: undefined, Other: on(path) }), true);
  assert.throws(() => new Router(foreign), /Routing\.Get .*Routing\.Other/);
});

test("the same rule twice on one rpc is harmless, a different one is not", () => {
  const twice = buildService({
    Get: on("POST /a", { body: "x", additionalBindings: [on("POST /a", { body: "x" })] }),
  });
  assert.equal(new Router(compileService(twice)).routes.length, 1);
  const differing = buildService({
    Get: on("POST /a", { body: "x", additionalBindings: [on("POST /a", { body: "y" })] }),
  });
  assert.throws(() => new Router(compileService(differing)), /match the same requests/);
});

test("`/b/**` takes `/b` with no segment, and goes before `/*`", () => {
  const router = buildRouter(["GET /b/**", "GET /*", "GET /v1/b/**", "GET /v1/{x}"]);
  assert.equal(outcome(router, "GET", "/b"), "R1");
  assert.equal(outcome(router, "GET", "/a"), "R2");
  assert.equal(outcome(router, "GET", "/v1/b"), "R3");
  assert.equal(outcome(router, "GET", "/v1/a"), "R4 x=a");
});
