import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigSchema } from "../../../gen/ts_ms/config/v1/config_pb.ts";
import { Unit } from "../../../gen/ts_ms/config/v1/key_pb.ts";
import { environmentNames } from "../../../src/core/config/loader/environment.ts";
import { keyTexts } from "../../../src/core/config/loader/key-texts.ts";
import { keyTree, type KeyField, type KeySection } from "../../../src/core/config/loader/key-tree.ts";
import { specialFlags } from "../../../src/core/config/loader/special-flags.ts";
import { loadConfig, type Config, type LoadedConfig } from "../../../src/entries/config.ts";
import { ConfigFiles } from "./config-files.ts";

const root = keyTree(ConfigSchema);

interface Leaf {
  readonly key: KeyField;
  /** With a name for the entries of maps; lists of sections end it. */
  readonly path: readonly string[];
}

/** Every key that has a value of its own, and lists of sections as a whole. */
function leavesOf(section: KeySection, path: readonly string[] = []): readonly Leaf[] {
  return section.fields.flatMap((key): readonly Leaf[] => {
    const keyPath = [...path, key.name];
    if (key.section === undefined || key.shape === "list") return [{ key, path: keyPath }];
    return leavesOf(key.section, key.shape === "map" ? [...keyPath, "one"] : keyPath);
  });
}

const leaves = leavesOf(root);

const samples: Readonly<Partial<Record<Unit, string>>> = {
  [Unit.DURATION]: "61s",
  [Unit.SIZE]: "5KiB",
  [Unit.RATE]: "7/1m",
  [Unit.PORT]: "77",
  [Unit.RATIO]: "0.25",
  [Unit.HOST]: "a.example",
  [Unit.FILE]: "/a/file",
  [Unit.FOLDER]: "/a/folder",
  [Unit.URL]: "http://a.example/",
  [Unit.CIDR]: "10.1.0.0/16",
  [Unit.PATH]: "/a",
};

/** A value of a key, another one than its default, as a text. */
function sampleOf({ option, type, field }: KeyField): string {
  if (option?.min !== undefined && option.unit === Unit.UNSPECIFIED) return String(option.min + 4);
  const word = option?.choices.find((choice) => choice !== option.default);
  if (word !== undefined) return word;
  if (type === "enum") return "UNAVAILABLE";
  if (type === "bool") return option?.default === "true" ? "false" : "true";
  const unit = samples[option?.unit ?? Unit.UNSPECIFIED];
  if (unit !== undefined) return unit;
  return type === "text" ? `a-${field.name}` : "4";
}

/** The text of a value in JSON, which is YAML too. */
function literalOf(key: KeyField): string {
  const { section } = key;
  if (section === undefined) {
    const value = JSON.stringify(sampleOf(key));
    return key.shape === "list" ? `[${value}]` : key.shape === "map" ? `{"one": ${value}}` : value;
  }
  const members = section.fields.map((child) => {
    const literal = literalOf(child);
    return `${JSON.stringify(child.name)}: ${literal}`;
  });
  const object = `{${members.join(", ")}}`;
  return key.shape === "list" ? `[${object}]` : object;
}

/** What must stand beside a key so that its section is complete. */
const companions: readonly (readonly [prefix: string, settings: readonly string[]])[] = [
  ["auth.providers.one.jwt.", ["auth.providers.one.jwt.issuer=i", "auth.providers.one.jwt.audiences=a"]],
  ["auth.providers.one.api_key.", ["auth.providers.one.api_key.keys_file=k"]],
  ["auth.providers.one.basic.", ["auth.providers.one.basic.users_file=u"]],
  [
    "auth.providers.one.introspection.",
    [
      "auth.providers.one.introspection.endpoint=http://a",
      "auth.providers.one.introspection.client_id=c",
      "auth.providers.one.introspection.client_secret=s",
    ],
  ],
  ["ext_authz.", ["ext_authz.target=a:1"]],
  ["limits.one.", ["limits.one.key=ip", "limits.one.rate=1/1s"]],
  ["signatures.verify.", ["signatures.verify.keys_file=k"]],
  ["upstreams.one.", ["upstreams.one.target=a:1"]],
  ["upstreams.one.contract.paths", ["upstreams.one.contract.proto=a"]],
  ["tls.", ["tls.cert=a", "tls.key=b", "tls.ca=c"]],
  ["stores.redis.", ["stores.redis.url=redis://a", "stores.redis.master=m"]],
  ["session.store", ["stores.redis.url=redis://a"]],
  ["limits.one.store", ["stores.redis.url=redis://a"]],
  ["signatures.replay_store", ["stores.redis.url=redis://a"]],
  ["http.timeout", ["http.max_timeout=5m"]],
  ["websocket.ping_period", ["websocket.pong_wait=5m"]],
];

function companionsOf(path: string): readonly string[] {
  return companions.flatMap(([prefix, settings]) => (path.startsWith(prefix) ? settings : []));
}

function valueIn(config: Config, { key, path }: Leaf): unknown {
  let value: unknown = config;
  const names = path.map((name) =>
    name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
  );
  for (const name of names) value = (value as Readonly<Record<string, unknown>>)[name]; // As the keys are made.
  assert.notEqual(value, undefined, `${key.name} has no value`);
  return value;
}

for (const leaf of leaves) {
  const path = leaf.path.join(".");
  test(`${path} loads from a file, by --set and from the environment`, async () => {
    const { key } = leaf;
    const settings = companionsOf(path);
    const others = settings.filter((setting) => !setting.startsWith(`${path}=`));
    const beside = others.flatMap((setting) => ["--set", setting]);
    const literal = literalOf(key);
    let nested = literal;
    for (const name of leaf.path.toReversed()) nested = `{${JSON.stringify(name)}: ${nested}}`;
    using files = new ConfigFiles({ "config.json": nested });
    const loads: LoadedConfig[] = [await files.load({ argv: beside })];
    const isMany = key.section !== undefined || key.shape !== "single";
    const text = isMany ? literal : sampleOf(key);
    loads.push(await loadConfig({ argv: [...beside, "--set", `${path}=${text}`], env: {} }));
    const { own } = environmentNames(root);
    const [name] = [...own].find(([, found]) => found.path.join(".") === path) ?? [];
    const hasName = key.section === undefined && !leaf.path.includes("one");
    assert.equal(
      name !== undefined,
      hasName,
      "a key has a name in the environment unless it is below an entry",
    );
    if (name !== undefined) {
      const plain = key.shape === "map" ? `one=${sampleOf(key)}` : sampleOf(key);
      loads.push(await loadConfig({ argv: beside, env: { [name]: plain } }));
    }
    const [first, ...same] = loads.map(({ config }) => valueIn(config, leaf));
    for (const value of same) assert.deepEqual(value, first);
    const without = await loadConfig({ argv: settings.flatMap((setting) => ["--set", setting]), env: {} });
    const isDefault = JSON.stringify(pathIn(without.config, leaf)) === JSON.stringify(first);
    assert.ok(!isDefault, `the sample ${text} is the default`);
    const [fromFile] = loads;
    if (fromFile !== undefined) await loadsAgain(fromFile);
  });
}

function pathIn(config: Config, leaf: Leaf): unknown {
  try {
    return valueIn(config, leaf);
  } catch {
    return undefined;
  }
}

/** What `--print-config` prints means the same, but for secrets. */
async function loadsAgain(loaded: LoadedConfig): Promise<void> {
  const printed = loaded.print();
  using files = new ConfigFiles({ "config.yaml": printed });
  const again = await files.load();
  if (!printed.includes('"***"')) assert.deepEqual(again.config, loaded.config);
  assert.equal(again.print("json"), loaded.print("json"));
}

test("every key has a text, and a default unless it is optional or must be set", () => {
  const visit = (section: KeySection): void => {
    for (const key of section.fields) {
      const name = `${key.field.parent.name}.${key.name}`;
      assert.ok((keyTexts[name] ?? "").length > 10, `${name} has no comment`);
      if (key.section !== undefined) {
        visit(key.section);
        continue;
      }
      const isText = key.shape === "single" && key.type === "text" && !key.field.proto.proto3Optional;
      const { option } = key;
      if (isText)
        assert.ok(option?.required === true || option?.default !== undefined, `${name} has no default`);
      if (key.field.proto.proto3Optional) assert.equal(option?.default, undefined, name);
    }
  };
  visit(root);
});

test("names in the environment and flags are unique", () => {
  const own = leaves.filter(({ key, path }) => key.section === undefined && !path.includes("one"));
  const names = own.map(({ path }) => path.join("_").toUpperCase());
  assert.equal(new Set(names).size, names.length);
  const flags = leaves.flatMap(({ key }) => {
    const { flag = "", programs = [] } = key.option ?? {};
    return flag === "" ? [] : [`${flag} ${programs.join(",")}`];
  });
  assert.equal(new Set(flags).size, flags.length);
  for (const name of Object.keys(specialFlags)) {
    assert.ok(!flags.includes(`${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} `), name);
  }
});

test("sections that are marked always are there", async () => {
  const { config } = await loadConfig({ argv: [], env: {} });
  const always = root.fields.flatMap(({ option, field }) =>
    option?.always === true ? [field.localName] : [],
  );
  assert.deepEqual(
    always,
    ["app", "clients", "http", "grpc", "websocket", "sse", "telemetry", "overload", "validation"],
    "as `Config` says",
  );
  const there = Object.keys(config).filter((name) => !name.startsWith("$"));
  assert.deepEqual(new Set(there), new Set([...always, "limits", "upstreams", "policies", "traffic"]));
});
