import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import { type Finding, lintRules } from "../../src/cli/lint/finding.ts";
import { tsMsWith } from "../support/ts-ms.ts";

const root = join(import.meta.dirname, "../..");
const cwd = mkdtempSync(join(tmpdir(), "ts-ms-lint-"));
after(() => rmSync(cwd, { recursive: true, force: true }));
/** Without buf on the path, and none in the folders above. */
const withoutBuf = { cwd, env: { PATH: "/nowhere" } };

const imports = `import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "ts_ms/v1/faces.proto";`;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(cwd, path)), { recursive: true });
  writeFileSync(join(cwd, path), text);
}

/** A contract in which each line that breaks a rule ends with the ids of these. */
const bad = `syntax = "proto3";
package bad.v1;
${imports}
/* service BadService { rpc GetOne */
service BadService {
  // Finds one.
  rpc GetOne(Req) returns (Req) { option (google.api.http) = {get: "/v1/items/{name}"}; } // route-shadowed
  // Finds mine.
  rpc GetMine(Req) returns (Req) { option (google.api.http) = {get: "/v1/items/mine"}; }
  // Clashes.
  rpc Clash(Req) returns (Req) { option (google.api.http) = {get: "/v1/items/{other}"}; } // route-clash
  // Has an unknown field.
  rpc Lost(Req) returns (Req) { option (google.api.http) = {get: "/v1/lost/{nope}"}; } // route-clash

  // Has a body.
  rpc Bodied(Req) returns (Req) { option (google.api.http) = {get: "/v1/bodied" body: "*"}; } // body-on-get
  // Has one twice.
  rpc Twice(Req) returns (Req) { // unused-binding
    option (google.api.http) = {post: "/v1/twice" body: "*" additional_bindings {post: "/v1/twice" body: "*"}};
  }
  // Is called as another.
  rpc Named(Req) returns (Req) { option (ts_ms.v1.faces).graphql.name = "getOne"; } // face-name
  // Is called as another, twice.
  rpc Other(Req) returns (Req) { // face-name face-name
    option (ts_ms.v1.faces) = {mcp: {tool: "get_one"} openapi: {operation_id: "BadService_GetOne"}};
  }
  // Is no success.
  rpc Status(Req) returns (Req) { option (ts_ms.v1.faces).http_status = 302; } // openapi-option

  rpc Silent(Req) returns (Req) { option idempotency_level = NO_SIDE_EFFECTS; } // mcp-description
  rpc Quiet(Req) returns (Req) { option (ts_ms.v1.faces).mcp.tool = "shout"; } // mcp-description
  rpc Hidden(Req) returns (Req) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (ts_ms.v1.faces).mcp.hidden = true;
  }
}
message Req {
  string name = 1;
  string other = 2 [(google.api.resource_reference).type = "x/Nothing"]; // reference
  string third = 3 [(ts_ms.v1.field_faces).reference = {method: "bad.v1.BadService.Nope"}]; // reference
  string fourth = 4 [(ts_ms.v1.field_faces).reference = {method: "bad.v1.BadService.GetOne" field: "no"}]; // reference
  string any = 5 [(google.api.resource_reference).type = "*"];
  string odd = 6 [json_name = "o-d-d"];
  oneof way { string left = 7; string right = 8; }
  string way_ = 9 [json_name = "way"]; // face-name
}
`;
write("bad.proto", bad);

const wanted = bad.split("\n").flatMap((line, at) => {
  const ids = /\/\/ ((?:[a-z]+-?)+(?: [a-z]+-[a-z]+)*)$/.exec(line)?.[1]?.split(" ") ?? [];
  return ids.filter((id) => id in lintRules).map((id) => `${at + 1} ${id}`);
});

async function findings(...args: readonly string[]): Promise<readonly Finding[]> {
  const { code, stdout } = await tsMsWith(withoutBuf, "lint", "--format", "json", ...args);
  const list = JSON.parse(stdout) as Finding[];
  assert.equal(code, list.length === 0 ? 0 : 1);
  return list;
}

suite("ts-ms lint", () => {
  test("finds what breaks each rule, at its line, and nothing else", async () => {
    const list = await findings("--proto", "bad.proto");
    assert.ok(wanted.length >= 14);
    assert.deepEqual(list.map(({ line, rule }) => `${line} ${rule}`).toSorted(), wanted.toSorted());
    for (const { file, message } of list) {
      assert.equal(file, "bad.proto");
      assert.ok(message.length > 30, message);
    }
  });

  test("finds nothing in a good contract, and says what was not looked at", async () => {
    const proto = join(root, "proto/library/v1/library.proto");
    const args = ["--proto", proto, "--proto-path", join(root, "proto")];
    const { code, stdout, stderr } = await tsMsWith(withoutBuf, "lint", ...args);
    assert.deepEqual([code, stdout], [0, ""]);
    assert.equal(stderr, "buf lint did not run: buf is not here; npm install --save-dev @bufbuild/buf\n");
  });

  test("names the line of a rule in a file that selects no rpc", async () => {
    write(
      "rules.yaml",
      "type: google.api.Service\nhttp:\n  rules:\n    - selector: bad.v1.No.Rpc\n      get: /v1/no\n",
    );
    const list = await findings("--proto", "bad.proto", "--rules", "rules.yaml");
    const unused = list.filter(({ file }) => file === "rules.yaml");
    assert.deepEqual(
      unused.map(({ rule, line }) => [rule, line]),
      [["unused-binding", 4]],
    );
  });

  test("leaves out rules, and writes for people and for GitHub", async () => {
    const except = Object.keys(lintRules)
      .filter((id) => id !== "body-on-get")
      .flatMap((id) => ["--except", id]);
    const line = bad.split("\n").findIndex((text) => text.includes("rpc Bodied")) + 1;
    const text = await tsMsWith(withoutBuf, "lint", "--proto", "bad.proto", ...except);
    assert.match(
      text.stdout,
      new RegExp(
        `^bad\\.proto:${line}: body-on-get: GET /v1/bodied of bad\\.v1\\.BadService/Bodied has a body, .*\\n$`,
      ),
    );
    assert.equal(text.code, 1);
    const github = await tsMsWith(
      withoutBuf,
      "lint",
      "--proto",
      "bad.proto",
      "--format",
      "github",
      ...except,
    );
    assert.match(github.stdout, new RegExp(`^::error file=bad\\.proto,line=${line},title=body-on-get::GET `));
    const unknown = await tsMsWith(withoutBuf, "lint", "--proto", "bad.proto", "--except", "body-on-gte");
    assert.deepEqual([unknown.code, unknown.stdout], [2, ""]);
    assert.match(unknown.stderr, /--except body-on-gte: there is no such rule, did you mean body-on-get\?/);
  });
});

suite("ts-ms lint --against", () => {
  const contract = (rpcs: string, fields: string, more = ""): string => `syntax = "proto3";
package shop.v1;
${imports}
// Sells.
service ShopService {
${rpcs}
}
${more}
message Item {
${fields}
}
`;
  write(
    "old/shop.proto",
    contract(
      `  // Gets.
  rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/v1/items/{name}"}; }
  // Adds.
  rpc Add(Item) returns (Item) { option (google.api.http) = {post: "/v1/items" body: "part"}; }
  // Puts.
  rpc Put(Item) returns (Item) { option (google.api.http) = {put: "/v1/{name}" body: "*"}; }
  // Cuts.
  rpc Cut(Item) returns (Item) { option (google.api.http) = {delete: "/v1/items/{name}"}; }
  // Goes.
  rpc Go(Item) returns (Item);`,
      "  string name = 1;\n  string title = 2;\n  Item part = 3;",
    ),
  );
  write(
    "new.proto",
    contract(
      `  // Gets.
  rpc Get(Item) returns (Item) { option (google.api.http) = {get: "/v1/items/{id=*}" additional_bindings {get: "/v2/{name}"}}; }
  // Adds.
  rpc Add(Item) returns (Item) { option (google.api.http) = {post: "/v1/items" body: "*" response_body: "part"}; option (ts_ms.v1.faces).http_status = 201; }
  // Puts.
  rpc Put(Item) returns (Item) { option (google.api.http) = {patch: "/v1/{name}" body: "*"}; }
  // Cuts.
  rpc Cut(Item) returns (Item) { option (google.api.http) = {delete: "/v1/items/{name}"}; }`,
      "  string name = 1;\n  string title = 2 [(google.api.field_behavior) = REQUIRED];\n  Item part = 3;\n  string id = 4;",
      "// Other.\nservice OtherService {\n  // Gets.\n  rpc Get(Item) returns (Item);\n}",
    ),
  );
  const expected = [
    [/^DELETE/, ""],
    [
      /^GET \/v1\/items\/\{id=\*\} of .*Get: the list of fields in the path was name and is id: /,
      "route-changed",
    ],
    [/^POST \/v1\/items of .*: the body was "part" and is "\*": /, "route-changed"],
    [/: the reply was the whole message and is the field part: /, "route-changed"],
    [/: the status of success was 200 and is 201: /, "route-changed"],
    [
      /^PUT \/v1\/\{name\} of shop\.v1\.ShopService\/Put is gone: HTTP clients that use it get 404$/,
      "route-removed",
    ],
    [/^POST \/shop\.v1\.ShopService\/Go of shop\.v1\.ShopService\/Go is gone/, "route-removed"],
    [
      /^shop\.v1\.Item\.title is required now: clients of shop\.v1\.ShopService\/Get that leave it out/,
      "required-added",
    ],
    [/ShopService\/Get was get in GraphQL and is shopGet: /, "name-changed"],
    [/ShopService\/Get was get in MCP and is shop_get: /, "name-changed"],
  ] as const;

  for (const way of ["a folder", "a descriptor set"]) {
    test(`says what breaks for clients of the contract in ${way}`, async () => {
      if (way !== "a folder") {
        write(
          "work/buf.yaml",
          JSON.stringify({ version: "v2", modules: [{ path: "old" }, { path: "lib" }] }),
        );
        execFileSync("cp", ["-r", join(cwd, "old"), join(root, "proto/google"), join(cwd, "work")]);
        execFileSync("mkdir", ["-p", join(cwd, "work/lib")]);
        execFileSync("cp", [
          "-r",
          join(root, "proto/google"),
          join(root, "proto/ts_ms"),
          join(cwd, "work/lib"),
        ]);
        const buf = join(root, "node_modules/.bin/buf");
        execFileSync(buf, ["build", "old", "-o", join(cwd, "old.binpb")], { cwd: join(cwd, "work") });
      }
      const list = await findings(
        "--proto",
        "new.proto",
        "--against",
        way === "a folder" ? "old" : "old.binpb",
      );
      for (const [message, rule] of expected) {
        const found = list
          .filter(({ rule, message: text }) => rule !== "graphql-breaking" && message.test(text))
          .map(({ rule }) => rule);
        assert.deepEqual(
          found,
          rule === "" ? [] : [rule],
          `${message}\n${JSON.stringify(list, undefined, 1)}`,
        );
      }
      const others = list.filter(({ rule }) => rule !== "graphql-breaking");
      assert.equal(others.length, expected.length - 1, JSON.stringify(list, undefined, 1));
      const title = list.find(({ rule }) => rule === "required-added");
      assert.equal(title?.file, "new.proto");
      assert.ok((title?.line ?? 0) > 20);
    });
  }

  test("says what breaks operations of GraphQL, or why schemas were not compared", async () => {
    const shelf = (fields: string): string =>
      `syntax = "proto3";\npackage s.v1;\n${imports}\n// Is s.\nservice SService {\n  // Gets.\n  rpc Get(S) returns (S) { option (google.api.http) = {get: "/v1/s/{name}"}; }\n}\nmessage S { string name = 1; ${fields} }\n`;
    write("graphql/old.proto", shelf("string title = 2; int32 size = 3;"));
    write("graphql/new.proto", shelf("string size = 3;"));
    const list = await findings("--proto", "graphql/new.proto", "--against", "graphql/old.proto");
    const broken = list.filter(({ rule }) => rule === "graphql-breaking").map(({ message }) => message);
    assert.ok(broken.some((message) => message.startsWith("Field S.title was removed (FIELD_REMOVED)")));
    assert.ok(broken.some((message) => message.startsWith("Field S.size changed type from Int! to String!")));
    const same = await tsMsWith(
      withoutBuf,
      "lint",
      "--proto",
      "graphql/new.proto",
      "--against",
      "graphql/new.proto",
    );
    assert.deepEqual([same.code, same.stdout, same.stderr.includes("graphql")], [0, "", false]);
    const odd = await tsMsWith(withoutBuf, "lint", "--proto", "bad.proto", "--against", "bad.proto");
    assert.match(odd.stderr, /^graphql-breaking did not run: graphql: /m);
    const gone = await tsMsWith(withoutBuf, "lint", "--proto", "new.proto", "--against", "nowhere");
    assert.deepEqual([gone.code, gone.stderr.includes("--against: nowhere is not there")], [1, true]);
  });
});

test("ts-ms lint asks buf, where it is", async () => {
  const folder = join(cwd, "with-buf");
  mkdirSync(join(folder, "protos"), { recursive: true });
  writeFileSync(
    join(folder, "buf.yaml"),
    "version: v2\nmodules: [{path: protos}]\nbreaking: {use: [FILE]}\n",
  );
  const message = (fields: string): string =>
    `syntax = "proto3";\npackage x.v1;\n// Is x.\nmessage x { ${fields} }\nservice XService { rpc Get(x) returns (x); }\n`;
  writeFileSync(join(folder, "protos/x.proto"), message("string a = 1;"));
  execFileSync(join(root, "node_modules/.bin/buf"), ["build", "-o", "old.binpb"], { cwd: folder });
  writeFileSync(join(folder, "protos/x.proto"), message("int32 a = 1;"));
  const env = { PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  const args = ["lint", "--proto", "protos/x.proto", "--against", "old.binpb"];
  const { code, stdout, stderr } = await tsMsWith({ cwd: folder, env }, ...args);
  assert.equal(code, 1, stderr);
  assert.match(stdout, /^protos\/x\.proto:4: MESSAGE_PASCAL_CASE: /m);
  assert.match(stdout, /^protos\/x\.proto:4: FIELD_SAME_TYPE: /m);
  assert.doesNotMatch(stderr, /buf/);
  const without = await tsMsWith({ cwd: folder, env }, ...args, "--except", "MESSAGE_PASCAL_CASE");
  assert.doesNotMatch(without.stdout, /MESSAGE_PASCAL_CASE/);
});

test("ts-ms lint --against asks buf in projects whose packages are modules too", async () => {
  const folder = join(cwd, "project");
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const message = (type: string): string =>
    `syntax = "proto3";\npackage x.v1;\nimport "google/api/annotations.proto";\nmessage X { ${type} a = 1; }\n// Is x.\nservice XService { rpc Get(X) returns (X) { option (google.api.http) = {get: "/v1/x"}; } }\n`;
  const config = (breaking: string): string =>
    `version: v2\nmodules:\n  - path: proto\n    breaking: ${breaking}\n  - path: node_modules/ts-ms/proto\n`;
  cpSync(join(root, "proto/google"), join(folder, "node_modules/ts-ms/proto/google"), { recursive: true });
  for (const path of ["proto/x/v1/x.proto", "old/proto/x/v1/x.proto"]) write(path, message("string"));
  write("buf.yaml", config("{use: [FILE]}"));
  const env = { PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
  execFileSync(join(root, "node_modules/.bin/buf"), ["build", "proto", "-o", "old.binpb"], { cwd: folder });
  write("proto/x/v1/x.proto", message("int32"));
  const ruleIds = async (against: string): Promise<readonly string[]> => {
    const args = ["--proto", "proto/x/v1/x.proto", "--proto-path", "proto", "--against", against];
    const { stdout, stderr } = await tsMsWith({ cwd: folder, env }, "lint", "--format", "json", ...args);
    assert.equal(stderr, "");
    const list = JSON.parse(stdout) as Finding[];
    return list
      .filter(({ rule }) => /^FI|^buf$/.test(rule))
      .map(({ rule, file, line }) => `${file}:${line} ${rule}`);
  };
  for (const against of ["old", "old/proto", "old/proto/x/v1/x.proto", "old.binpb"]) {
    assert.deepEqual(await ruleIds(against), ["proto/x/v1/x.proto:4 FIELD_SAME_TYPE"], against);
  }
  assert.deepEqual(await ruleIds("."), []);
  write("buf.yaml", config("{use: [FILE], ignore: [proto/x/v1]}"));
  assert.deepEqual(await ruleIds("old"), []);
});
