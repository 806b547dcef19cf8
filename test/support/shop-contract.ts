/** A contract with every shape that an OpenAPI document has to describe. */
export const shopProto = `
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/api/resource.proto";
import "google/api/visibility.proto";
import "google/protobuf/any.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "ts_ms/v1/faces.proto";

// Sells things.
//
// In two paragraphs.
service ShopService {
  // GetItem finds an item.
  //
  // NOT_FOUND for none.
  // buf:lint:ignore ANYTHING
  rpc GetItem(GetItemRequest) returns (Item) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/items/*}"
      additional_bindings { get: "/v1/items/{name}" }
      additional_bindings { post: "/v1/items/{name}" body: "*" }
    };
  }
  rpc CreateItem(CreateItemRequest) returns (Item) {
    option (google.api.http) = {post: "/v1/{parent=shelves/*}/items" body: "item"};
    option (ts_ms.v1.faces) = {http_status: 201 openapi: {summary: "Makes one" tags: ["making"]}};
  }
  rpc UpdateItem(UpdateItemRequest) returns (Item) {
    option (google.api.http) = {patch: "/v1/{item.name=shelves/*/items/*}" body: "item"};
  }
  // Deprecated: use nothing.
  rpc DeleteItem(GetItemRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {delete: "/v1/{name=shelves/*/items/*}"};
    option (ts_ms.v1.faces) = {http_status: 204};
    option deprecated = true;
  }
  rpc SearchItems(SearchRequest) returns (SearchResponse) {
    option (google.api.http) = {get: "/v1/{parent=shelves/*}/items:search"};
  }
  rpc PickOne(PickRequest) returns (PickRequest) {
    option (google.api.http) = {post: "/v1/pick/{left}" body: "inner"};
  }
  rpc FollowItems(SearchRequest) returns (stream Item) {
    option (google.api.http) = {get: "/v1/{parent=shelves/*}/items:follow"};
    option (ts_ms.v1.faces).http_status = 202;
  }
  rpc SendItems(stream Item) returns (SearchResponse) {
    option (google.api.http) = {post: "/v1/items:send" body: "*"};
  }
  rpc Talk(stream Item) returns (stream Item) {
    option (google.api.http) = {post: "/v1/items:talk" body: "*"};
  }
  rpc GetFile(GetItemRequest) returns (google.api.HttpBody) {
    option (google.api.http) = {get: "/v1/files/{name=**}"};
  }
  rpc PutFile(PutFileRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {put: "/v1/files/{name}" body: "file"};
  }
  rpc Upload(UploadRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {post: "/v1/uploads" body: "*"};
  }
  rpc LockItem(GetItemRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {custom {kind: "LOCK" path: "/v1/locks/{name}"}};
  }
  rpc AnyWay(GetItemRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {custom {kind: "*" path: "/v1/anyway/{name}"}};
  }
  rpc OneWay(GetItemRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {get: "/v1/anyway/{name}"};
  }
  rpc Quiet(GetItemRequest) returns (Item) {
    option (google.api.http) = {get: "/v1/quiet/{name}"};
    option (ts_ms.v1.faces).openapi.hidden = true;
  }
  rpc Preview(GetItemRequest) returns (Item) {
    option (google.api.http) = {get: "/v1/preview/{name}"};
    option (google.api.method_visibility).restriction = "PREVIEW, INTERNAL";
  }
  rpc Unbound(GetItemRequest) returns (Item);
}
// An item.
message Item {
  option (google.api.resource) = {type: "shop.example.com/Item" pattern: "shelves/{shelf}/items/{item}"};
  string name = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
  // What it is called.
  string title = 2 [(google.api.field_behavior) = REQUIRED];
  int64 cents = 3;
  optional double weight = 4;
  google.protobuf.Timestamp made_at = 5;
  map<int32, string> notes = 6;
  repeated Kind kinds = 7;
  oneof colour { string paint = 8; int32 code = 9; }
  Item part = 10;
  google.protobuf.Any extra = 11;
  google.protobuf.Value free = 12;
  google.protobuf.Int64Value wrapped = 13;
  bytes picture = 14;
  string secret = 15 [(google.api.field_behavior) = INPUT_ONLY];
  string dark = 16 [(ts_ms.v1.field_faces).hidden = true];
  string early = 17 [(google.api.field_visibility).restriction = "PREVIEW"];
}
enum Kind {
  KIND_UNSPECIFIED = 0;
  // The good kind.
  KIND_GOOD = 1;
}
message GetItemRequest {
  string name = 1 [(google.api.field_behavior) = REQUIRED, (google.api.resource_reference).type = "shop.example.com/Item"];
}
message CreateItemRequest {
  string parent = 1 [(google.api.field_behavior) = REQUIRED];
  Item item = 2 [(google.api.field_behavior) = REQUIRED];
  string item_id = 3;
}
message UpdateItemRequest {
  Item item = 1;
  google.protobuf.FieldMask update_mask = 2;
}
message Span { string from = 1; string to = 2; Span inner = 3; }
message SearchRequest {
  string parent = 1;
  Span made = 2;
  Span sold = 3;
  repeated string tags = 4;
  map<string, string> labels = 5;
  google.protobuf.Struct filter = 6;
  int32 page_size = 7;
  string query = 8 [(google.api.field_behavior) = REQUIRED];
}
message SearchResponse { repeated Item items = 1; }
message PickRequest {
  oneof side { string left = 1; string right = 2; }
  Span inner = 3;
  string other = 4;
}
message PutFileRequest { string name = 1; google.api.HttpBody file = 2; }
message UploadRequest { string title = 1; bytes content = 2; }
`;

/** Services of other packages, whose ids and names meet. */
export const sidesProto = `
syntax = "proto3";
package sides.v1;
import "google/api/annotations.proto";
import "ts_ms/v1/faces.proto";
service Left {
  rpc Get(Side) returns (Side) {
    option (google.api.http) = {get: "/left/{name}"};
    option (ts_ms.v1.faces).openapi.operation_id = "same";
  }
}
service Right {
  rpc Get(Side) returns (Side) {
    option (google.api.http) = {get: "/right/{name}"};
    option (ts_ms.v1.faces).openapi.operation_id = "same";
  }
}
service Taken {
  rpc Get(Side) returns (Side) { option (google.api.http) = {get: "/openapi.json"}; }
}
service Wrong {
  rpc Get(Side) returns (Side) {
    option (google.api.http) = {get: "/wrong"};
    option (ts_ms.v1.faces).http_status = 302;
  }
}
message Side { string name = 1; }
`;
