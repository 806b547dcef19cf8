import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { doors } from "../../src/gateway/doors/doors.ts";
import { arrows } from "./rooms.ts";

const root = join(import.meta.dirname, "../..");
const page = "docs/architecture.md";
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const text = read(page);

/** The text below a heading, without that of the next heading of the same level. */
function section(heading: string): string {
  const found = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  return found ?? assert.fail(`${page} has no section "${heading}"`);
}

/** The code spans of a text. */
function spans(of: string): string[] {
  return [...of.replace(/^```[^]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

const pathPattern = /^(?:src|gen|test|docs|tools|bench|conformance|examples|proto)\/\S+$|^package\.json$/;
const paths = [...new Set(spans(text).filter((span) => pathPattern.test(span)))];

/** `x` in a path of the page stands for the name of what is added. */
const placeholder = /(?<=\/)x(?=[/.-])/;

/** A name with the file in which the page says that it is declared. */
interface Named {
  readonly file: string;
  readonly name: string;
}

/** Names after a path, as in "`file`, `Class`, `member`", and before one, as in "`name` in `file`". */
function namesOf(of: string): Named[] {
  const after = [...of.matchAll(/`([\w./-]+\.ts)`((?:,\s+`#?\w+`)+)/g)].flatMap(([, file = "", names = ""]) =>
    spans(names).map((name) => ({ file, name })),
  );
  const before = [...of.matchAll(/`(\w+)` in\s+`([\w./-]+\.ts)`/g)].map(([, name = "", file = ""]) => ({
    file,
    name,
  }));
  return [...after, ...before];
}

/** Whether a source declares this function, class, type, constant or member. */
function declares(source: string, name: string): boolean {
  const kinds = "class|function|interface|type|const|let";
  const topLevel = new RegExp(`^(?:export )?(?:abstract |async )?(?:${kinds})\\*? ${name}\\b`, "m");
  const words = "(?:(?:readonly|protected|abstract|override|async|get|static) |\\*)*";
  const member = new RegExp(
    `^ {2,4}${words}${name}(?:[<(:?](?!.*\\);$)|;)|^ +${words}${name} =|^ +const ${name} =`,
    "m",
  );
  return topLevel.test(source) || member.test(source);
}

test("every path on the page exists", () => {
  assert.ok(paths.length > 80);
  const missing = paths.filter((path) =>
    placeholder.test(path)
      ? globSync(path.replaceAll(new RegExp(placeholder, "g"), "*"), { cwd: root }).length === 0
      : !existsSync(join(root, path)),
  );
  assert.deepEqual(missing, []);
});

test("every function and class beside a path is declared in that file", () => {
  const named = namesOf(text);
  assert.ok(named.length > 90);
  const missing = named.filter(({ file, name }) => !declares(read(file), name));
  assert.deepEqual(missing, []);
});

test("names that stand alone occur in the sources", () => {
  const files = [...globSync("{src,test/project}/**/*.ts", { cwd: root }), "package.json"];
  const words = new Set(files.flatMap((file) => read(file).match(/[\w$]+/g) ?? []));
  const names = spans(text).filter((span) => /^#?[A-Za-z]\w*$/.test(span));
  assert.deepEqual(
    names.filter((name) => !words.has(name.replace("#", ""))),
    [],
  );
});

suite("a declaration is told from a use", () => {
  const source = `import { used } from "./a.ts";
export const made = used(1);
export abstract class Made<T> extends used {
  readonly #field = used;
  protected abstract member(of: string): void;
  async #hidden(): Promise<void> { used(); }
  bound: string;
  caller(): void {
    called(1);
  }
}
export async function* generated() {}
`;
  for (const name of ["made", "Made", "#field", "member", "#hidden", "bound", "caller", "generated"]) {
    test(name, () => assert.ok(declares(source, name)));
  }
  for (const name of ["used", "field", "Promise", "of", "called"]) {
    test(`not ${name}`, () => assert.ok(!declares(source, name)));
  }
});

test("the table of rooms has the rooms of test/project/rooms.ts", () => {
  const rooms = [...section("Rooms").matchAll(/^\| `([^`]+)` \| \S/gm)].map(([, room = ""]) => room);
  assert.deepEqual(rooms.toSorted(), Object.keys(arrows).toSorted());
});

test("each row of one file and one line names the test that checks it", () => {
  const rows = section("One file and one line")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
  assert.ok(rows.length > 8);
  for (const row of rows.slice(1)) assert.match(row, /`test\/\S+\.test\.ts` \|$/);
});

test("each door is on the page", () => {
  assert.ok(doors.length > 0);
  const files = globSync("src/gateway/doors/*/*-door.ts", { cwd: root }).map((file) =>
    file.replaceAll("\\", "/"),
  );
  for (const file of files.filter((name) => !name.startsWith("src/gateway/doors/rpc/"))) {
    const room = file.split("/").slice(1, -1).join("/");
    assert.ok(spans(text).includes(room), `${page} does not name ${room}`);
  }
});

test("the count of files that a reader opens is that of today", () => {
  const [, list = "", count, lines] =
    /<!-- open: rest -->([^]*?)<!-- end -->\s+(\d+) files with about ([\d,]+)\s+lines/.exec(text) ?? [];
  const files = spans(list);
  assert.equal(files.length, Number(count));
  const found = files.map((file) => read(file).split("\n").length - 1).reduce((sum, n) => sum + n, 0);
  const said = Number(lines?.replace(",", ""));
  assert.ok(Math.abs(found - said) <= said / 10, `${files.length} files have ${found} lines`);
});

test("the page is for contributors: npm does not ship it, and no shipped page links to it by path", () => {
  const manifest = JSON.parse(read("package.json")) as { files: string[] };
  const kept = manifest.files.filter((name) => name.startsWith("!")).map((name) => name.slice(1));
  assert.ok(kept.includes(page), `package.json ships ${page}`);
  const shipped = globSync(["README.md", "docs/*.md"], { cwd: root })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !kept.includes(file));
  assert.ok(shipped.length > 10);
  for (const file of shipped) {
    const links = [...read(file).matchAll(/\]\(([^)#]+)/g)].map(([, link = ""]) => link);
    const broken = links.filter((link) => kept.some((name) => join(file, "..", link) === join(name)));
    assert.deepEqual(broken, [], file);
  }
});
