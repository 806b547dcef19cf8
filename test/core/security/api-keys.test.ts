import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { suite, test } from "node:test";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/schemes/api-keys.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { Judge } from "./judged.ts";

const anyFailures = { count: 1_000_000, windowMs: 60_000 };

/** Opens authentication by keys of these records. */
async function open(files: TemporaryFiles, records: unknown, header?: string): Promise<Judge> {
  const keysFile = await files.write("keys.yaml", records);
  const provider = apiKeys({ keysFile, ...(header === undefined ? {} : { header }) });
  return Judge.open({ providers: { partners: provider }, failures: anyFailures });
}

suite("keys in a header:", () => {
  test("a new key is tsms_ID_SECRET with 256 bits, and its hash is SHA-256 of the whole", () => {
    const made = createApiKey("billing-1");
    const [, secret = ""] = /^tsms_billing-1_([\w-]{43})$/.exec(made.key) ?? assert.fail(made.key);
    assert.equal(Buffer.from(secret, "base64url").length, 32);
    assert.equal(made.hash, `sha256:${hash("sha256", made.key, "base64url")}`);
    assert.notEqual(createApiKey("billing-1").key, made.key);
    for (const id of ["", "a b", "a:b", "ä", "x".repeat(65)])
      assert.throws(() => createApiKey(id), /the id must be/);
  });

  test("a good key has id, scopes and roles of its record", async () => {
    await using files = await TemporaryFiles.create();
    const { key, hash: digest } = createApiKey("billing");
    const yaml = `# partners\n- id: billing\n  hash: ${digest}\n  scopes: ["a", b]\n  roles: [r]\n  expires_at: 2999-01-01T00:00:00Z\n`;
    using judge = await open(files, yaml);
    const { who } = await judge.judge({ headers: { "x-api-key": key } });
    assert.deepEqual(
      [who?.id, who?.kind, who?.provider, [...(who?.scopes ?? [])], [...(who?.roles ?? [])]],
      ["billing", "api-key", "partners", ["a", "b"], ["r"]],
    );
    assert.equal(who?.expiresAtMs, Date.parse("2999-01-01T00:00:00Z"));
  });

  test("what a record says of time and addresses counts", async () => {
    await using files = await TemporaryFiles.create();
    const keys = Object.fromEntries(
      ["old", "new", "near", "near6", "far"].map((id) => [id, createApiKey(id)]),
    ) as Record<string, ReturnType<typeof createApiKey>>;
    using judge = await open(files, [
      { id: "old", hash: keys["old"]?.hash, expires_at: "2020-01-01" },
      { id: "new", hash: keys["new"]?.hash, not_before: "2999-01-01T00:00:00+02:00" },
      { id: "near", hash: keys["near"]?.hash, ips: ["192.0.2.0/24", "10.0.0.7"] },
      { id: "near6", hash: keys["near6"]?.hash, ips: ["2001:db8::/32"] },
      { id: "far", hash: keys["far"]?.hash, ips: ["198.51.100.0/24"] },
    ]);
    const rows = [
      ["old", "192.0.2.1", "KEY_EXPIRED"],
      ["new", "192.0.2.1", "KEY_NOT_YET_VALID"],
      ["near", "192.0.2.1", "OK"],
      ["near", "::ffff:192.0.2.9", "OK"],
      ["near", "10.0.0.7", "OK"],
      ["near", "10.0.0.8", "KEY_WRONG_ADDRESS"],
      ["near", "", "KEY_WRONG_ADDRESS"],
      ["near6", "2001:db8::9", "OK"],
      ["near6", "2001:db9::9", "KEY_WRONG_ADDRESS"],
      ["far", "192.0.2.1", "KEY_WRONG_ADDRESS"],
    ] as const;
    for (const [id, ip, expected] of rows) {
      const client = { ip, trusted: false };
      const { reason } = await judge.judge({ client, headers: { "x-api-key": keys[id]?.key ?? "" } });
      assert.equal(reason, expected, `${id} from ${ip}`);
    }
  });

  test("an unknown key, a cut one, the hash itself, several in one header are refused with the header's name", async () => {
    await using files = await TemporaryFiles.create();
    const { key, hash: digest } = createApiKey("a");
    using judge = await open(files, [{ id: "a", hash: digest }], "X-Partner-Key");
    for (const [text, expected] of [
      [createApiKey("a").key, "KEY_UNKNOWN"],
      [key.slice(0, -1), "KEY_UNKNOWN"],
      [digest, "KEY_UNKNOWN"],
      [`${key}, ${key}`, "CREDENTIALS_MALFORMED"],
      [`${key} x`, "CREDENTIALS_MALFORMED"],
      ["", "CREDENTIALS_MALFORMED"],
      ["k".repeat(16_385), "CREDENTIALS_MALFORMED"],
      [key, "OK"],
    ] as const) {
      const verdict = await judge.judge({ headers: { "x-partner-key": text } });
      assert.equal(verdict.reason, expected);
      if (expected === "OK") continue;
      assert.equal(verdict.challenge, 'ApiKey realm="partners", header="x-partner-key"');
      assert.equal(verdict.code, Code.Unauthenticated);
    }
    assert.equal((await judge.judge({ headers: { "x-api-key": key } })).reason, "CREDENTIALS_MISSING");
  });

  test("files that cannot be used are refused at the start, without showing what they hold", async () => {
    await using files = await TemporaryFiles.create();
    const { key, hash: digest } = createApiKey("a");
    const other = createApiKey("b").hash;
    const rows: readonly (readonly [records: unknown, expected: RegExp])[] = [
      ["- {", /keys.yaml: this is neither YAML nor JSON/],
      [{ a: 1 }, /keys.yaml: this is no list of records/],
      ["- a", /record 1 is no map of fields/],
      [[{ id: "a", key }], /record 1 has a key in plain text; the file holds hashes alone/],
      [[{ id: "a", hash: key }], /record 1: the field hash is none/],
      [[{ id: "a", hash: digest.slice(0, -1) }], /the field hash is none/],
      [[{ id: "a", hash: `${digest.slice(0, -1)}_` }], /the field hash is none/],
      [[{ id: "a" }], /the field hash must be a text/],
      [[{ hash: digest }], /the field id must be a text/],
      [[{ id: "a b", hash: digest }], /the id must be 1 to 64 letters/],
      [[{ id: "a", hash: digest, scope: "x" }], /unknown field "scope"; did you mean scopes\?/],
      [[{ id: "a", hash: digest, scopes: "x" }], /the field scopes must be a list of texts/],
      [[{ id: "a", hash: digest, expires_at: "tomorrow" }], /expires_at must be a time such as/],
      [[{ id: "a", hash: digest, expires_at: 17 }], /expires_at must be a time such as/],
      [[{ id: "a", hash: digest, ips: ["10.0.0.0/33"] }], /ips must be addresses or networks/],
      [[{ id: "a", hash: digest, ips: ["all"] }], /ips must be addresses or networks/],
      [
        [
          { id: "a", hash: digest },
          { id: "a", hash: other },
        ],
        /record 2: another record has this id/,
      ],
      [
        [
          { id: "a", hash: digest },
          { id: "b", hash: digest },
        ],
        /record 2: another record has this hash/,
      ],
      ["- &a { id: a }\n- *a\n", /neither YAML nor JSON/],
    ];
    for (const [records, expected] of rows) {
      await assert.rejects(open(files, records), (error: Error) => {
        assert.match(error.message, expected);
        assert.ok(!error.message.includes(key) && !error.message.includes(digest), error.message);
        return true;
      });
    }
    await assert.rejects(open(files, "- x", "Authorization"), /must be the name of a header of its own/);
    assert.throws(() => apiKeys({} as never), /the option keysFile is missing/);
  });

  test("a file that others may write is refused, one that others may read is told", async () => {
    await using files = await TemporaryFiles.create();
    const records = [{ id: "a", hash: createApiKey("a").hash }];
    const writable = await files.write("writable.json", records, 0o602);
    await assert.rejects(
      Judge.open({ providers: { p: apiKeys({ keysFile: writable }) } }),
      /every user of this host can write this file; use chmod o-w/,
    );
    const readable = await files.write("readable.json", records, 0o644);
    const told: string[] = [];
    const logger = { warn: (_fields: object, text: string) => void told.push(text) };
    using _ = await Judge.open({ providers: { p: apiKeys({ keysFile: readable }) } }, { logger });
    assert.match(told.join(), /every user of this host can read a file of secrets/);
  });

  test("I07 keys that share 1 to 40 characters with a good one take the same time", async () => {
    await using files = await TemporaryFiles.create();
    const { key, hash: digest } = createApiKey("a");
    using judge = await open(files, [{ id: "a", hash: digest }]);
    const lengths = Array.from({ length: 40 }, (_, index) => index + 1);
    const times = new Map(lengths.map((length) => [length, [] as number[]]));
    for (let sample = 0; sample < 250; sample++) {
      for (const length of lengths) {
        const guess = key.slice(0, length) + "!".repeat(key.length - length);
        const begin = process.hrtime.bigint();
        await judge.judge({ headers: { "x-api-key": guess } });
        times.get(length)?.push(Number(process.hrtime.bigint() - begin));
      }
    }
    // 10,000 samples; the medians show no trend by length: their correlation with it is that of chance.
    const medians = lengths.map((length) => median(times.get(length) ?? []));
    assert.ok(Math.abs(correlation(lengths, medians)) < 0.8, `correlation ${correlation(lengths, medians)}`);
    const spread = Math.max(...medians) / Math.min(...medians);
    assert.ok(spread < 1.5, `the medians differ by ${spread}`);
  });
});

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function correlation(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const cov = xs.reduce((sum, x, index) => sum + (x - mx) * ((ys[index] ?? 0) - my), 0);
  const norm = (values: readonly number[], m: number): number =>
    Math.sqrt(values.reduce((sum, value) => sum + (value - m) ** 2, 0));
  return cov / (norm(xs, mx) * norm(ys, my));
}
