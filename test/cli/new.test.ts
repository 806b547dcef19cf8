import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { addService } from "../../src/cli/add/add-service.ts";
import { projectFiles, templates } from "../../src/cli/new/fill.ts";
import { writeProject } from "../../src/cli/new/project-folder.ts";
import { projectName, serviceNames } from "../../src/cli/new/project-names.ts";
import { ownPackage } from "../../src/core/config/own-version.ts";
import { tsMsWith } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-new-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let folders = 0;
const emptyFolder = (): string => {
  const folder = join(scratch, String(++folders));
  mkdirSync(folder);
  return folder;
};
const shop = projectFiles("my-shop", serviceNames("my-shop"), templates.service);

test("ts-ms new makes a project with a repository, and says what to type next", async () => {
  const cwd = emptyFolder();
  const { code, stdout, stderr } = await tsMsWith({ cwd }, "new", "my-shop", "--no-install");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(
    stdout,
    /^my-shop is ready:\n\n {2}cd my-shop\n {2}npm install\n {2}npm start +# then open http:\S+\n$/,
  );
  assert.deepEqual(readdirSync(cwd), ["my-shop"]);
  for (const [path, text] of shop) assert.equal(readFileSync(join(cwd, "my-shop", path), "utf8"), text);
  assert.ok(existsSync(join(cwd, "my-shop/.git")));
});

test("each template has its files, with exact versions and every name filled in", () => {
  const own = {
    service: [
      "config.yaml",
      "proto/my_shop/v1/my_shop.proto",
      "src/main.ts",
      "src/my-shop-service.ts",
      "test/my-shop-service.test.ts",
      "tools/generate.js",
    ],
    gateway: ["config.yaml", "proto/my_shop/v1/my_shop.proto", "src/main.ts", "test/gateway.test.ts"],
    library: ["proto/my_shop/v1/my_shop.proto", "src/index.ts", "test/client.test.ts", "tools/generate.js"],
  };
  const common = [".gitignore", "README.md", "buf.yaml", "package.json", "tsconfig.json"];
  for (const [name, parts] of Object.entries(templates)) {
    const files = projectFiles("my-shop", serviceNames("my-shop"), parts);
    const generates = name === "gateway" ? [] : ["buf.gen.yaml"];
    const wanted = [...common, ...generates, ...own[name as keyof typeof own]]; // The same names.
    assert.deepEqual([...files.keys()].toSorted(), wanted.toSorted(), name);
    for (const [path, text] of files) assert.doesNotMatch(text, /\{\{/, path);
    const { dependencies, devDependencies, peerDependencies, engines } = JSON.parse(
      files.get("package.json") ?? "",
    ) as Record<string, Record<string, string>>;
    const versions = Object.values({ ...dependencies, ...devDependencies });
    assert.ok(versions.length >= 5);
    for (const version of versions) assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.equal((dependencies ?? devDependencies)?.["ts-ms"], ownPackage().version);
    assert.deepEqual(engines, ownPackage().engines);
    if (name === "library") assert.equal(peerDependencies?.["ts-ms"], `^${ownPackage().version}`);
  }
});

test("names of a project become those of packages, files and types", () => {
  assert.deepEqual(serviceNames("my-shop"), {
    kebab: "my-shop",
    Name: "MyShop",
    name: "myShop",
    file: "my-shop-service",
    proto: "my_shop",
    package: "my_shop.v1",
    dir: "my_shop/v1",
  });
  assert.equal(serviceNames("orders-service").Name, "Orders");
  assert.equal(serviceNames("shop", "acme.shop.v1beta1").dir, "acme/shop/v1beta1");
  assert.equal(projectName("apps/shop", []), "shop");
});

suite("F15 names that cannot be are refused, with one that can", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["con", /"con" is the name of a device on some systems: .* such as con-app$/],
    ["../x", /"\.\.\/x" leads out of this folder: .* such as x$/],
    ["a:b", /"a:b" is not made of small letters.* such as a-b$/],
    ["my shop", /such as my-shop$/],
    ["a".repeat(300), /has 300 letters, and 214 are the most: .* such as a{40}$/],
    ["MyShop", /such as my-shop$/],
    ["3d", /such as app-3d$/],
    ["http", /is a module of Node: .* such as http-app$/],
    ["message", /is a word of protobuf: .* such as message-app$/],
    ["ts-ms", /is a package that the project needs: .* such as ts-ms-app$/],
    ["…", /such as shop$/],
    ["shop.", /such as shop$/],
  ];
  for (const [name, expected] of cases) {
    test(name.slice(0, 20), () => {
      assert.throws(() => projectName(name, ["ts-ms"]), { message: expected });
      const [, better = ""] = /such as (\S+)$/.exec(String(expected.source.replace(/\$$/, ""))) ?? [];
      if (/^[\w-]+$/.test(better)) assert.equal(projectName(better, ["ts-ms"]), better);
    });
  }
  for (const [name, better] of [
    ["acme.shop", "acme.shop.v1"],
    ["Acme.Shop.v1", "acme.shop.v1"],
    ["acme.message.v1", "acme.messages.v1"],
    ["v1", "shop.v1"],
    ["acme..v1", "acme.v1"],
  ] as const) {
    test(`--package ${name}`, () => {
      const message = `${JSON.stringify(name)} is no package of a contract with a version, such as ${better}`;
      assert.throws(() => serviceNames("shop", name), { message });
      assert.equal(serviceNames("shop", better).package, better);
    });
  }

  test("nothing is left of a command line that is refused", async () => {
    const cwd = emptyFolder();
    for (const args of [["con"], ["my shop"], []]) {
      const { code, stdout, stderr } = await tsMsWith({ cwd }, "new", ...args, "--no-install");
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /^ts-ms new: /);
    }
    assert.deepEqual(readdirSync(cwd), []);
  });
});

suite("a folder that is not empty", () => {
  const write = (target: string, force = false): Promise<void> =>
    writeProject(target, shop, force, async () => {});

  test("is refused with the names of what is there, and stays as it is", async () => {
    const target = emptyFolder();
    for (let at = 0; at < 12; at++) writeFileSync(join(target, `f${String(at).padStart(2, "0")}`), "");
    const message = /is not empty, it has f00, f01, .*, f09 and 2 more: take a new folder, or .* --force$/;
    await assert.rejects(write(target), { message });
    assert.equal(readdirSync(target).length, 12);
    const { code, stderr } = await tsMsWith({ cwd: target }, "new", ".", "--no-install", "--no-git");
    assert.equal(code, 2, stderr); // Its name is a number.
  });

  test("may have .git, which stays", async () => {
    const target = emptyFolder();
    mkdirSync(join(target, ".git"));
    writeFileSync(join(target, ".git/HEAD"), "ref");
    await write(target);
    assert.equal(readFileSync(join(target, ".git/HEAD"), "utf8"), "ref");
    assert.ok(existsSync(join(target, "src/main.ts")));
  });

  test("is written over by --force, file by file", async () => {
    const target = emptyFolder();
    mkdirSync(join(target, "src"));
    writeFileSync(join(target, "src/main.ts"), "old");
    writeFileSync(join(target, "src/mine.ts"), "mine");
    await write(target, true);
    assert.equal(readFileSync(join(target, "src/main.ts"), "utf8"), shop.get("src/main.ts"));
    assert.equal(readFileSync(join(target, "src/mine.ts"), "utf8"), "mine");
  });

  test("that is empty is taken, though it is the current one", async () => {
    const parent = emptyFolder();
    const cwd = join(parent, "shop");
    mkdirSync(cwd);
    const inode = statSync(cwd).ino;
    const { code, stdout, stderr } = await tsMsWith({ cwd }, "new", ".", "--no-install", "--no-git");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^shop is ready:\n\n {2}npm install\n/);
    assert.equal(statSync(cwd).ino, inode);
    assert.deepEqual(readdirSync(parent), ["shop"]);
  });
});

suite("F15 what cannot be written leaves nothing", () => {
  test("a file where a folder should be, a folder that is not there", async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "file"), "");
    const write = (target: string): Promise<void> => writeProject(target, shop, false, async () => {});
    await assert.rejects(
      write(join(folder, "file/shop")),
      /cannot be written: a part of the path is a file$/,
    );
    await assert.rejects(write(join(folder, "file")), /cannot be written: a part of the path is a file$/);
    await assert.rejects(write(join(folder, "no/shop")), /there is no folder .*\/no: make it first/);
    assert.deepEqual(readdirSync(folder), ["file"]);
  });

  for (const [code, message] of [
    ["ENOSPC", /cannot be written: the disk is full$/],
    ["EROFS", /cannot be written: the file system takes no changes$/],
    ["EACCES", /cannot be written: this user may not write there$/],
  ] as const) {
    test(`${code} while it is made`, async () => {
      const folder = emptyFolder();
      const fail = (): Promise<void> => Promise.reject(Object.assign(new Error(code), { code }));
      await assert.rejects(writeProject(join(folder, "shop"), shop, false, fail), { message });
      assert.deepEqual(readdirSync(folder), []);
    });
  }
});

suite("ts-ms add service", () => {
  const project = (): string => {
    const folder = emptyFolder();
    for (const [path, text] of projectFiles("shop", serviceNames("shop"), templates.service)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return folder;
  };

  test("adds three files, and two lines to main.ts", async () => {
    const cwd = project();
    const { code, stdout, stderr } = await tsMsWith({ cwd }, "add", "service", "orders");
    assert.deepEqual([code, stderr], [0, ""]);
    for (const path of [
      "proto/orders/v1/orders.proto",
      "src/orders-service.ts",
      "test/orders-service.test.ts",
    ]) {
      assert.ok(stdout.includes(`  ${path}\n`));
      assert.ok(existsSync(join(cwd, path)), path);
    }
    assert.match(stdout, /^ {2}src\/main\.ts: two lines$/m);
    assert.equal(
      readFileSync(join(cwd, "src/main.ts"), "utf8"),
      `import { App } from "ts-ms";
import { ShopApi } from "./shop-service.ts";
import { OrdersApi } from "./orders-service.ts";

const app = await App.load({ program: "shop" });
app.addService(new ShopApi());
app.addService(new OrdersApi());
await app.run();
`,
    );
  });

  test("prints the lines where it knows no place for them", () => {
    const folder = project();
    const mains = ["", 'import "./x.ts";\n', "grpc.addService(service(A, {}));\n"];
    for (const [at, text] of mains.entries()) {
      writeFileSync(join(folder, "src/main.ts"), text);
      const told = addService(folder, `orders${at}`);
      assert.ok(told.includes(`  import { Orders${at}Api } from "./orders${at}-service.ts";\n`));
      assert.ok(told.includes(`  app.addService(new Orders${at}Api());\n`));
      assert.equal(readFileSync(join(folder, "src/main.ts"), "utf8"), text);
    }
  });

  test("keeps line ends and names of main.ts, and packages that stand around others", () => {
    const folder = project();
    writeFileSync(join(folder, "proto/shop/v1/shop.proto"), 'syntax = "proto3";\npackage acme.shop.v2;\n');
    const main = 'import {\r\n  A,\r\n} from "./a.ts";\r\n  server.addService(new A());\r\n';
    writeFileSync(join(folder, "src/main.ts"), main);
    addService(folder, "orders");
    assert.match(
      readFileSync(join(folder, "proto/acme/orders/v2/orders.proto"), "utf8"),
      /^package acme\.orders\.v2;$/m,
    );
    assert.equal(
      readFileSync(join(folder, "src/main.ts"), "utf8"),
      'import {\r\n  A,\r\n} from "./a.ts";\r\nimport { OrdersApi } from "./orders-service.ts";\r\n  server.addService(new A());\r\n  server.addService(new OrdersApi());\r\n',
    );
  });

  test("refuses what is there, and folders that are no project", () => {
    const folder = project();
    const before = readdirSync(folder, { recursive: true });
    assert.throws(
      () => addService(folder, "shop"),
      /proto\/shop\/v1\/shop\.proto, .* is there already: take another name/,
    );
    assert.throws(() => addService(folder, "Or ders"), /such as or-ders$/);
    assert.throws(
      () => addService(emptyFolder(), "orders"),
      /is no project with contracts in proto\/: cd to one/,
    );
    assert.deepEqual(readdirSync(folder, { recursive: true }), before);
  });
});
