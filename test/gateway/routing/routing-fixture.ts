import {
  create,
  createFileRegistry,
  createRegistry,
  fromBinary,
  fromJson,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf";
import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import * as wkt from "@bufbuild/protobuf/wkt";
import { file_google_api_annotations, http } from "../../../gen/google/api/annotations_pb.ts";
import {
  CustomHttpPatternSchema,
  file_google_api_http,
  HttpRuleSchema,
} from "../../../gen/google/api/http_pb.ts";
import { file_google_protobuf_test_messages_proto3 } from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { annotatedBindings, implicitBinding } from "../../../src/core/http-rule/http-rule.ts";
import { compileRoute } from "../../../src/core/http-rule/route.ts";
import type { Route } from "../../../src/core/http-rule/route.ts";
import { Router } from "../../../src/gateway/routing/router.ts";
import type { RouterOptions } from "../../../src/gateway/routing/router.ts";

/** An annotation as it would stand in a proto; undefined for an rpc without one. */
export type Rule = HttpRule | undefined;

/** What a rule has beside its pattern. */
export interface RuleParts {
  readonly body?: string;
  readonly responseBody?: string;
  readonly additionalBindings?: HttpRule[];
}

/** A rule from its pattern, such as `GET /path`; methods beyond the five become custom kinds. */
export function on(route: string, parts: RuleParts = {}): HttpRule {
  return create(HttpRuleSchema, { ...parts, pattern: patternOf(route) });
}

function patternOf(route: string): HttpRule["pattern"] {
  const space = route.indexOf(" ");
  const [kind, value] = [route.slice(0, space), route.slice(space + 1)];
  switch (kind) {
    case "GET":
      return { case: "get", value };
    case "PUT":
      return { case: "put", value };
    case "POST":
      return { case: "post", value };
    case "DELETE":
      return { case: "delete", value };
    case "PATCH":
      return { case: "patch", value };
    default:
      return { case: "custom", value: create(CustomHttpPatternSchema, { kind, path: value }) };
  }
}

/** What a service built at run time is made of. */
export interface ServiceShape {
  readonly name?: string;
  readonly file?: string;
  /** Type names of the messages; default the fixture's own `Input`, which has the fields templates use. */
  readonly input?: string;
  readonly output?: string;
}

const dependencies: readonly DescFile[] = [
  ...[wkt.file_google_protobuf_descriptor, wkt.file_google_protobuf_any, wkt.file_google_protobuf_duration],
  ...[
    wkt.file_google_protobuf_field_mask,
    wkt.file_google_protobuf_struct,
    wkt.file_google_protobuf_timestamp,
  ],
  ...[wkt.file_google_protobuf_wrappers, wkt.file_google_protobuf_empty],
  ...[file_google_api_http, file_google_api_annotations, file_google_protobuf_test_messages_proto3],
];

const inputFields = ["x", "y", "z", "a", "b", "id", "name", "path"];

/**
 * A service `test.routing.v1.NAME` with one rpc for each rule, built at run time from the bytes of a file descriptor,
 * as a descriptor set or server reflection would bring it.
 */
export function buildService(rules: Readonly<Record<string, Rule>>, shape: ServiceShape = {}): DescService {
  const name = shape.name ?? "Routing";
  const file = fromJson(FileDescriptorProtoSchema, {
    name: shape.file ?? `test/routing/${name.toLowerCase()}.proto`,
    package: "test.routing.v1",
    syntax: "proto3",
    dependency: dependencies.map((dependency) => dependency.proto.name),
    messageType: [
      {
        name: `${name}Input`,
        field: inputFields.map((field, index) => ({
          name: field,
          number: index + 1,
          type: "TYPE_STRING",
          label: "LABEL_OPTIONAL",
          jsonName: field,
        })),
      },
    ],
  });
  const own = `.test.routing.v1.${name}Input`;
  const methods = Object.entries(rules).map(([method, rule]) => {
    const options = create(MethodOptionsSchema);
    if (rule !== undefined) setExtension(options, http, rule);
    const inputType = shape.input === undefined ? own : `.${shape.input}`;
    const outputType = shape.output === undefined ? own : `.${shape.output}`;
    return { name: method, inputType, outputType, options };
  });
  file.service = [create(ServiceDescriptorProtoSchema, { name, method: methods })];
  // Through bytes, so that the annotation is an unknown field of options parsed without it.
  const parsed = fromBinary(FileDescriptorProtoSchema, toBinary(FileDescriptorProtoSchema, file));
  const registry = createFileRegistry(parsed, (path) =>
    dependencies.find((known) => known.proto.name === path),
  );
  const service = createRegistry(registry).getService(`test.routing.v1.${name}`);
  if (service === undefined) throw new Error("the fixture has no service");
  return service;
}

/** The one rpc of a service with one rule. */
export function buildMethod(rule: Rule, shape: ServiceShape = {}): DescMethod {
  const [method] = buildService({ Call: rule }, shape).methods;
  if (method === undefined) throw new Error("the fixture has no rpc");
  return method;
}

/** The compiled annotations of a service, with the implicit paths when asked for. */
export function compileService(service: DescService, implicit = false): Route[] {
  return service.methods
    .flatMap((method) => [...annotatedBindings(method), ...(implicit ? [implicitBinding(method)] : [])])
    .map(compileRoute);
}

/** A router of rules such as `GET /a/{x}`, whose rpcs are named R1, R2 and so on. */
export function buildRouter(routes: readonly string[], options: Partial<RouterOptions> = {}): Router {
  const rules = Object.fromEntries(routes.map((route, index) => [`R${index + 1}`, on(route)]));
  return new Router(compileService(buildService(rules)), options);
}

/** What a router makes of a request, in one line: `R1 x=book`, `405 GET, HEAD`, `404` or `400`. */
export function outcome(router: Router, httpMethod: string, target: string): string {
  const match = router.match(httpMethod, target);
  switch (match.kind) {
    case "found": {
      const captures = match.route.variables.map(({ name }, index) => `${name}=${match.captures[index]}`);
      return [match.route.method.name, ...captures].join(" ");
    }
    case "method-not-allowed":
      return `405 ${match.allow.join(", ")}`;
    case "not-found":
      return "404";
    case "bad-path":
      return "400";
  }
}
