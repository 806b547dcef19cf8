import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/core/telemetry/logger.ts";
import { escapeText } from "../../../src/core/telemetry/escape-text.ts";
import { redactText, Redactor } from "../../../src/core/telemetry/redact.ts";

const redactor = new Redactor(["x-shop-key"]);

test("names whose values are never logged", () => {
  const secret = [
    "authorization",
    "Proxy-Authorization",
    "cookie",
    "Set-Cookie",
    "x-api-key",
    "signature",
    "X-Shop-Key",
    "password",
    "userPassword",
    "client_secret",
    "access_token",
    "apiKey",
    "api-key",
    "api_key",
    "AWS_CREDENTIALS",
  ];
  for (const name of secret) assert.ok(redactor.isSecret(name), name);
  for (const name of ["name", "keys", "author", "code", "x-request-id"])
    assert.ok(!redactor.isSecret(name), name);
});

test("values are masked at any depth, and what has none stays the same object", () => {
  const clean = { a: 1, list: [{ b: null }], when: new Date(0) };
  assert.equal(redactor.value(clean), clean);
  const shown = redactor.value({
    user: { name: "a", password: "p" },
    list: [{ token: 1 }, "x"],
    headers: new Headers({ authorization: "Bearer s", accept: "*/*" }),
  });
  assert.deepEqual(shown, {
    user: { name: "a", password: "***" },
    list: [{ token: "***" }, "x"],
    headers: { authorization: "***", accept: "*/*" },
  });
  const deep: Record<string, unknown> = {};
  deep["self"] = deep;
  assert.doesNotThrow(() => JSON.stringify(redactor.value(deep)));
});

test("query values of secret names, of code and sig, and headers in the query are masked", () => {
  const table = [
    ["/v1/shelves?page_token=1&size=2", "/v1/shelves?page_token=***&size=2"],
    ["/callback?code=abc&state=x&sig=1", "/callback?code=***&state=x&sig=***"],
    ["/ws?%24header.authorization=Bearer%20x&a=b", "/ws?%24header.authorization=***&a=b"],
    ["/ws?$header.x=y", "/ws?$header.x=***"],
    ["/a?pass%77ord=x", "/a?pass%77ord=***"],
    ["/a?%zz=1&b", "/a?%zz=1&b"],
    ["/plain", "/plain"],
  ] as const;
  for (const [target, shown] of table) assert.equal(redactor.target(target), shown);
});

test("credentials inside of texts are masked", () => {
  const table = [
    ["sent Bearer abcdef.ghi-jkl to x", "sent Bearer *** to x"],
    ['{"password":"hunter2","a":1}', '{"password":"***","a":1}'],
    ["token=abc&x=1", "token=***&x=1"],
    ["redis://user:pw@host:6379/0", "redis://user:***@host:6379/0"],
    ["no route for /v1/tokens", "no route for /v1/tokens"],
  ] as const;
  for (const [text, shown] of table) assert.equal(redactText(text), shown);
});

test("no line of a logger has a credential: in fields, child bindings, texts and errors", () => {
  const lines: string[] = [];
  const logger = createLogger({ destination: { write: (line) => void lines.push(line) }, redact: ["pin"] });
  logger.info({ headers: { cookie: "s3cret" }, pin: "s3cret" }, "using token=s3cret");
  logger.child({ apiKey: "s3cret" }).warn("x");
  const cause = new Error("password: s3cret");
  logger.error({ err: new Error("sent Bearer s3cret123", { cause }) }, "failed");
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, /s3cret/);
});

test("text formats escape quotes, backslashes, control characters and what is not ASCII", () => {
  assert.equal(escapeText('a"b\\c\nd\té\u{1F600}'), "a\\x22b\\x5Cc\\x0Ad\\x09\\xC3\\xA9\\xF0\\x9F\\x98\\x80");
  const lines: string[] = [];
  const logger = createLogger({ format: "text", destination: { write: (line) => void lines.push(line) } });
  logger.info({ rpc: "a.B/C", note: "two\nlines" }, 'say "hi"\nnow');
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? "",
    /^\S+Z INFO say \\x22hi\\x22\\x0Anow pid=\d+ rpc=a\.B\/C note=two\\x0Alines\n$/,
  );
});
