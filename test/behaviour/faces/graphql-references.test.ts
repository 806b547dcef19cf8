/** References that options of fields say: rule 18 of the faces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { AnyService } from "../../../src/core/call/service.ts";
import { builtContract } from "../../support/built-contract.ts";
import { GraphqlHost } from "../../support/graphql-host.ts";

const built = builtContract({
  "refs.proto": `
    syntax = "proto3";
    package refs.v1;
    import "google/api/annotations.proto";
    import "google/api/resource.proto";
    import "ts_ms/v1/faces.proto";
    service RefsService {
      rpc Find(FindRequest) returns (Item) { option (google.api.http) = {get: "/items/{code}"}; }
      rpc FindAll(FindAllRequest) returns (FindAllReply) { option (google.api.http) = {get: "/items"}; }
      rpc ListOrders(ListRequest) returns (ListReply) { option (google.api.http) = {get: "/orders"}; }
      rpc GetShop(GetShopRequest) returns (Shop) { option (google.api.http) = {get: "/{name=shops/*}"}; }
    }
    message FindRequest { string code = 1; }
    message FindAllRequest { repeated string codes = 1; }
    message FindAllReply { repeated Item items = 1; }
    message ListRequest { int32 lost = 1; }
    message ListReply { repeated Order orders = 1; string next_page_token = 2; }
    message GetShopRequest { string name = 1; }
    message Item { string title = 1; }
    message Order {
      string item_code = 1 [(ts_ms.v1.field_faces).reference = {
        method: "refs.v1.RefsService.Find" field: "code" name: "thing"
        batch_method: "refs.v1.RefsService.FindAll" batch_field: "codes"
      }];
      string shop = 2 [(google.api.resource_reference).type = "refs.example.com/Shop"];
      string seller_id = 3 [(google.api.resource_reference).type = "refs.example.com/Shop"];
      string seller = 4;
      repeated string branch_names = 5 [(google.api.resource_reference).type = "refs.example.com/Shop"];
    }
    message Shop {
      option (google.api.resource) = {type: "refs.example.com/Shop" pattern: "shops/{shop}"};
      string name = 1;
    }`,
});

const calls: string[] = [];
function message(name: string, init: object): Message {
  const type = built.types.find(({ typeName }) => typeName === `refs.v1.${name}`) as DescMessage; // It is there.
  return create(type, init as never); // As the contract has it.
}
const item = (code: string): Message => message("Item", { title: `Title of ${code}` });
const service = {
  descriptor: built.services.find(({ typeName }) => typeName === "refs.v1.RefsService"),
  find({ code }: { code: string }) {
    calls.push(`Find ${code}`);
    return item(code);
  },
  findAll({ codes }: { codes: readonly string[] }) {
    calls.push(`FindAll ${codes.join()}`);
    // What is lost is not there, and its place neither.
    return message("FindAllReply", { items: codes.filter((code) => code !== "lost").map(item) });
  },
  listOrders({ lost }: { lost: number }) {
    const codes = ["b", "a", "b", ...(lost > 0 ? ["lost"] : [])];
    const orders = codes.map((itemCode) => ({
      itemCode,
      shop: "shops/1",
      sellerId: "shops/2",
      branchNames: ["shops/3", "", "shops/1"],
    }));
    return message("ListReply", { orders });
  },
  getShop({ name }: { name: string }) {
    calls.push(`GetShop ${name}`);
    return message("Shop", { name });
  },
} as unknown as AnyService; // Its rpcs are known only when it runs.

test("rule 18: an option names the field, the rpcs and their fields; without a key, by position", async () => {
  await using host = await GraphqlHost.of([service]);
  calls.length = 0;
  assert.deepEqual(await host.data("{ listOrders { orders { itemCode thing { title } } } }"), {
    listOrders: {
      orders: ["b", "a", "b"].map((code) => ({ itemCode: code, thing: { title: `Title of ${code}` } })),
    },
  });
  assert.deepEqual(calls, ["FindAll b,a"]);
  // An answer of another length says of none which it is.
  const { data, errors } = await host.ask("{ listOrders(lost: 1) { orders { thing { title } } } }");
  assert.deepEqual(data, { listOrders: { orders: Array(4).fill({ thing: null }) } });
  assert.deepEqual([...new Set(errors?.map(({ extensions }) => extensions["code"]))], ["NOT_FOUND"]);
});

test("rule 18: names without _id and _names, or with Resource behind; lists; each key once without a batch", async () => {
  await using host = await GraphqlHost.of([service]);
  calls.length = 0;
  const { listOrders } = await host.data(
    "{ listOrders { orders { shop shopResource { name } seller sellerIdResource { name } branch { name } } } }",
  );
  const order = {
    shop: "shops/1",
    shopResource: { name: "shops/1" },
    seller: "",
    sellerIdResource: { name: "shops/2" },
    branch: [{ name: "shops/3" }, null, { name: "shops/1" }],
  };
  assert.deepEqual(listOrders, { orders: [order, order, order] });
  assert.deepEqual(calls.toSorted(), ["GetShop shops/1", "GetShop shops/2", "GetShop shops/3"]);
});
