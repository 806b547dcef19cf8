import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ResourceSchema,
  type UpdateResourceRequest,
  UpdateResourceRequestSchema,
} from "../../../gen/tsms/test/v1/binding_pb.ts";
import { compileBinder } from "../../../src/gateway/binding/bind.ts";
import type { BindOptions, BindRequest } from "../../../src/gateway/binding/bind-options.ts";
import { compileMaskDeriver } from "../../../src/gateway/binding/field-mask.ts";
import { refusedFields, routeOf } from "./binding-fixture.ts";

const field = routeOf("updateResource", "PATCH /v1/{data.name=resources/*}", "data");
const whole = routeOf("updateResource", "PATCH /v1/resources", "*");

function bindField(
  body: string,
  rest?: Partial<BindRequest>,
  options?: Partial<BindOptions>,
): UpdateResourceRequest {
  const request = { captures: ["resources/1"], query: "", body, ...rest };
  return compileBinder(field, options).bind(request) as UpdateResourceRequest; // The rpc's input.
}

function bindWhole(body: string, query = "", options?: Partial<BindOptions>): UpdateResourceRequest {
  return compileBinder(whole, options).bind({ captures: [], query, body }) as UpdateResourceRequest;
}

/** Body of the update and the mask it asks for; undefined for none. */
const masks: readonly [body: string, mask: string | undefined][] = [
  ['{"a":1}', "a"],
  ['{"sub":{"x":1,"y":2}}', "sub.x,sub.y"],
  ['{"sub":{"deeper":{"deeper":{"x":0}}}}', "sub.deeper.deeper.x"],
  ['{"sub":null}', "sub"],
  ['{"sub":{"x":null}}', "sub.x"],
  ['{"sub":{}}', "sub"],
  ['{"list":[1]}', "list"],
  ['{"list":[]}', "list"],
  ['{"subs":[{"x":1}]}', "subs"],
  ['{"m":{"k":"v"}}', "m"],
  ['{"ts":"2020-01-01T00:00:00Z"}', "ts"],
  ['{"camelCase":"1"}', "camel_case"],
  ['{"camel_case":"1"}', "camel_case"],
  ['{"struct":{"a":{"b":1}}}', "struct"],
  ['{"value":{"a":{"b":1}}}', "value"],
  ['{"value":null}', "value"],
  ['{"wrapper":"x"}', "wrapper"],
  ['{"any":{}}', "any"],
  ['{"any":null}', "any"],
  ['{"a":0,"sub":{"y":0},"list":null}', "a,sub.y,list"],
  ['{"a":1,"nope":1}', "a"],
  ['{"sub":{"nope":1,"x":1}}', "sub.x"],
  ['{"sub":{},"nope":1}', "sub"],
  ['{"name":"resources/1","a":1}', "name,a"],
  ["{}", undefined],
  ["null", undefined],
  ["", undefined],
];

/** Body of the update, and the members that do not exist where nothing else is there. */
const unknown: readonly [body: string, names: string[]][] = [
  ['{"nope":1}', ["data.nope"]],
  ['{"nope":1,"other":{"x":1}}', ["data.nope", "data.other"]],
  ['{"sub":{"nope":1}}', ["data.sub.nope"]],
  ['{"__proto__":{"a":1}}', ["data.__proto__"]],
];

suite("field masks", () => {
  for (const [body, mask] of masks) {
    test(`body: "data" ${body}`, () => assert.deepEqual(bindField(body).updateMask?.paths.join(","), mask));
    if (body === "") continue;
    test(`body: "*" {"data":${body}}`, () => {
      assert.deepEqual(bindWhole(`{"data":${body}}`).updateMask?.paths.join(","), mask);
    });
  }
  for (const [body, names] of unknown) {
    for (const unknownFields of ["ignore", "reject"] as const) {
      test(`${body} is refused with unknown fields "${unknownFields}"`, () => {
        assert.deepEqual(
          refusedFields(() => bindField(body, {}, { unknownFields })),
          names,
        );
        assert.deepEqual(
          refusedFields(() => bindWhole(`{"data":${body}}`, "", { unknownFields })),
          names,
        );
      });
    }
  }
  test("null is in the mask and clears the field", () => {
    const message = bindField('{"sub":null,"a":1}');
    assert.deepEqual(message.updateMask?.paths, ["sub", "a"]);
    assert.equal(message.data?.sub, undefined);
  });
  test("a misspelt resource is refused where nothing else is there", () => {
    assert.deepEqual(
      refusedFields(() => bindWhole('{"dataa":{"a":1}}')),
      ["dataa"],
    );
    assert.equal(bindWhole('{"validateOnly":true,"dataa":{"a":1}}').updateMask, undefined);
    assert.equal(bindWhole("{}").updateMask, undefined);
  });

  test("a mask in the query wins, in either spelling", () => {
    for (const query of ["updateMask=camelCase,a", "update_mask=camel_case,a", "updateMask=camel_case%2Ca"]) {
      assert.deepEqual(bindField('{"sub":{"x":1}}', { query }).updateMask?.paths, ["camel_case", "a"]);
      assert.deepEqual(bindWhole('{"data":{"sub":{"x":1}}}', query).updateMask?.paths, ["camel_case", "a"]);
    }
  });
  test("a mask in the body wins, over the query too", () => {
    const body = '{"data":{"sub":{"x":1}},"updateMask":"camelCase,a"}';
    assert.deepEqual(bindWhole(body).updateMask?.paths, ["camel_case", "a"]);
    assert.deepEqual(bindWhole(body, "updateMask=list").updateMask?.paths, ["camel_case", "a"]);
    const reject = { unknownQuery: "reject" } as const;
    assert.deepEqual(
      refusedFields(() => bindWhole(body, "updateMask=list", reject)),
      ["updateMask"],
    );
  });
  test("an empty mask is none", () => {
    assert.deepEqual(bindField('{"a":1}', { query: "updateMask=" }).updateMask?.paths, ["a"]);
    assert.deepEqual(bindWhole('{"data":{"a":1},"updateMask":""}').updateMask?.paths, ["a"]);
  });
  test("a mask of one's own is no reason to refuse unknown members", () => {
    const message = bindField('{"nope":1}', { query: "updateMask=a" });
    assert.deepEqual(message.updateMask?.paths, ["a"]);
  });
  test("a broken mask is refused", () => {
    assert.deepEqual(
      refusedFields(() => bindField("{}", { query: "updateMask=a,,b" })),
      ["update_mask"],
    );
  });
  test("other parameters stay unknown where the body is everything", () => {
    const ignored: string[] = [];
    const onIgnored = (_place: string, name: string): void => void ignored.push(name);
    bindWhole('{"data":{"a":1}}', "validateOnly=true&data.a=5", { onIgnored });
    assert.deepEqual(ignored, ["validateOnly", "data.a"]);
  });
  test("binary bodies carry their own mask", () => {
    const body = toBinary(ResourceSchema, create(ResourceSchema, { a: 1 }));
    const request = { captures: ["resources/1"], query: "", body, format: "binary" as const };
    assert.equal((compileBinder(field).bind(request) as UpdateResourceRequest).updateMask, undefined);
    const all = toBinary(
      UpdateResourceRequestSchema,
      create(UpdateResourceRequestSchema, { updateMask: { paths: ["a"] } }),
    );
    const bound = compileBinder(whole).bind({ captures: [], query: "", body: all, format: "binary" });
    assert.deepEqual((bound as UpdateResourceRequest).updateMask?.paths, ["a"]);
  });

  test("masks are derived for PATCH alone, and where one message is meant", () => {
    const derives = (...route: Parameters<typeof routeOf>): boolean =>
      compileMaskDeriver(routeOf(...route)) !== undefined;
    assert.equal(derives("updateResource", "PATCH /v1/resources", "data"), true);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "data.sub"), true);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "*"), true);
    assert.equal(derives("updateResource", "PUT /v1/resources", "data"), false);
    assert.equal(derives("updateResource", "POST /v1/resources", "*"), false);
    assert.equal(derives("updateResource", "PATCH /v1/resources"), false);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "validate_only"), false);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "update_mask"), false);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "data.struct"), false);
    assert.equal(derives("updateResource", "PATCH /v1/resources", "data.any"), false);
    assert.equal(derives("search", "PATCH /v1/kinds", "kinds"), false);
  });
  test("an update that is no PATCH has no mask", () => {
    const binder = compileBinder(routeOf("updateResource", "PUT /v1/resources", "data"));
    const message = binder.bind({ captures: [], query: "", body: '{"nope":1}' }) as UpdateResourceRequest;
    assert.equal(message.updateMask, undefined);
  });
});
