/** A contract with every shape that GraphQL has to give a form, and with references. */
export const kindsProto = `
syntax = "proto3";
package kinds.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/httpbody.proto";
import "google/api/resource.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "ts_ms/v1/faces.proto";

// Gives back what it gets.
service KindsService {
  // Echo gives back.
  rpc Echo(Kinds) returns (Kinds) {
    option (google.api.http) = {post: "/echo" body: "*"};
    option (ts_ms.v1.faces).graphql.kind = QUERY;
  }
  rpc SetKinds(SetKindsRequest) returns (SetKindsRequest) {
    option (google.api.http) = {patch: "/kinds/{kinds.text}" body: "kinds"};
  }
  rpc Nothing(google.protobuf.Empty) returns (google.protobuf.Empty) { option (google.api.http) = {get: "/nothing"}; }
  rpc Raw(google.api.HttpBody) returns (google.api.HttpBody) {
    option (ts_ms.v1.faces).graphql = {kind: QUERY name: "rawBytes"};
  }
  rpc Wait(google.protobuf.Duration) returns (google.protobuf.Timestamp) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Hide(google.protobuf.Empty) returns (google.protobuf.Empty) { option (ts_ms.v1.faces).graphql.kind = HIDDEN; }
  rpc Follow(FollowRequest) returns (stream Event) { option (google.api.http) = {get: "/follow"}; }
  rpc Upload(stream Kinds) returns (Kinds);
}
message Kinds {
  bool truth = 1;
  string text = 2;
  bytes data = 3;
  int32 int = 4;
  uint32 count = 5;
  int64 long = 6;
  uint64 size = 7;
  float single = 8;
  double exact = 9;
  optional string maybe = 10;
  Kind kind = 11;
  repeated Kind kinds = 12;
  map<string, string> words = 13;
  map<int64, Kinds> parts = 14;
  map<bool, int32> flags = 15;
  oneof choice {
    string choice_string = 16;
    Kinds choice_kinds = 17;
    google.protobuf.Timestamp choice_time = 18;
    Kind choice_kind = 19;
  }
  google.protobuf.Timestamp at = 20;
  google.protobuf.Duration lasts = 21;
  google.protobuf.FieldMask mask = 22;
  google.protobuf.Struct struct = 23;
  google.protobuf.Value value = 24;
  google.protobuf.ListValue list = 25;
  google.protobuf.Any any = 26;
  google.protobuf.Int64Value wrapped = 27;
  google.protobuf.NullValue nothing = 28;
  repeated google.protobuf.Value values = 29;
  repeated google.protobuf.StringValue texts = 30;
  google.protobuf.Empty empty = 31;
  repeated Kinds more = 32;
  string __x = 33;
  string odd = 34 [json_name = "is-odd"];
  string secret = 35 [(google.api.field_behavior) = INPUT_ONLY];
  string given = 36 [(google.api.field_behavior) = OUTPUT_ONLY];
  string hidden = 37 [(ts_ms.v1.field_faces).hidden = true];
  string old = 38 [deprecated = true];
  repeated sint64 longs = 39;
}
enum Kind {
  option allow_alias = true;
  KIND_UNSPECIFIED = 0;
  GOOD = 1;
  FINE = 1;
  true = 2;
  OLD = 3 [deprecated = true];
}
message SetKindsRequest {
  Kinds kinds = 1 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.FieldMask update_mask = 2;
}
message FollowRequest { int32 count = 1; string fail = 2; int32 pause_ms = 3; }
message Event { int32 number = 1; string text = 2; string book = 3 [(google.api.resource_reference).type = "kinds.example.com/Book"]; }

// Has books.
service BookService {
  rpc GetBook(GetBookRequest) returns (Book) { option (google.api.http) = {get: "/{name=books/*}"}; }
  rpc BatchGetBooks(BatchGetBooksRequest) returns (BatchGetBooksResponse) {
    option (google.api.http) = {get: "/books:batchGet"};
  }
  rpc ListCopies(ListCopiesRequest) returns (ListCopiesResponse) {
    option (google.api.http) = {get: "/copies"};
  }
  rpc GetAuthor(GetAuthorRequest) returns (GetAuthorResponse) {
    option (google.api.http) = {get: "/{name=authors/*}" response_body: "author"};
  }
}
message Book {
  option (google.api.resource) = {type: "kinds.example.com/Book" pattern: "books/{book}"};
  string name = 1;
  string title = 2;
  string author_name = 3 [(google.api.resource_reference).type = "kinds.example.com/Author"];
}
message Author {
  option (google.api.resource) = {type: "kinds.example.com/Author" pattern: "authors/{author}"};
  string name = 1;
  string mask = 2;
}
message Copy {
  string book = 1 [(google.api.resource_reference).type = "kinds.example.com/Book"];
  repeated string other_ids = 2 [(google.api.resource_reference).type = "kinds.example.com/Book"];
}
message GetBookRequest { string name = 1; }
message BatchGetBooksRequest { repeated string names = 1; }
message BatchGetBooksResponse { repeated Book books = 1; }
message ListCopiesRequest { int32 page_size = 1; int32 keys = 2; string missing = 3; google.protobuf.FieldMask read_mask = 4; }
message ListCopiesResponse { repeated Copy copies = 1; string next_page_token = 2; string mask = 3; }
message GetAuthorRequest { string name = 1; google.protobuf.FieldMask read_mask = 2; }
message GetAuthorResponse { Author author = 1; }
`;

/** Contracts that GraphQL cannot have, with what the error says. */
export const wrongProtos: Readonly<Record<string, readonly [proto: string, error: RegExp]>> = {
  "two rpcs of one name": [
    `service A { rpc Get(M) returns (M) { option (ts_ms.v1.faces).graphql.name = "one"; }
                 rpc Other(M) returns (M) { option (ts_ms.v1.faces).graphql.name = "one"; } }`,
    /A\.Get and .*A\.Other are both called one/,
  ],
  "a name that is none": [
    `service A { rpc Get(M) returns (M) { option (ts_ms.v1.faces).graphql.name = "a-b"; } }`,
    /A\.Get: "a-b" is no name/,
  ],
  "a stream as a query": [
    `service A { rpc Get(M) returns (stream M) { option (ts_ms.v1.faces).graphql.kind = QUERY; } }`,
    /A\.Get: a server stream can be a SUBSCRIPTION only/,
  ],
  "a oneof named as a field": [
    `service A { rpc Get(N) returns (N); }
     message N { oneof the_one { string a = 1; } string theOne = 2 [json_name = "theOne"]; }`,
    /both called theOne.*oneofs: "fields"/,
  ],
  "two fields of one name": [
    `service A { rpc Get(N) returns (N); }
     message N { string a = 1 [json_name = "x-"]; string b = 2 [json_name = "a"]; }`,
    /both called a/,
  ],
  "a reference to no rpc": [
    `service A { rpc Get(N) returns (N); }
     message N { string a = 1 [(ts_ms.v1.field_faces).reference.method = "wrong.v1.A.None"]; }`,
    /wrong\d+\.v1\.N\.a: there is no unary rpc wrong\d+\.v1\.A\.None/,
  ],
  "a reference by a field that is not there": [
    `service A { rpc Get(N) returns (N); }
     message N { string a = 1 [(ts_ms.v1.field_faces).reference = {method: "wrong.v1.A.Get" field: "none"}]; }`,
    /N has no text none/,
  ],
};
