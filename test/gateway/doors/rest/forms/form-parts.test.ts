import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Code, ConnectError } from "../../../../../src/core/errors/errors.ts";
import { formParts, isForm } from "../../../../../src/gateway/doors/rest/forms/form-parts.ts";

const boundary = "b0-undary";

/** Bytes that look like the ends of parts more often than chance has it. */
const content = fc
  .array(
    fc.oneof(fc.constantFrom("\r\n", "--", "\r\n--b0", "-", "\r", `--${boundary.slice(0, -1)}`), fc.string()),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(""))
  .filter((text) => !text.includes(`--${boundary}`));

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  for (let index = 0; start < bytes.length; index++) {
    const end = start + (sizes[index % sizes.length] ?? 1);
    yield bytes.subarray(start, end);
    if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    start = end;
  }
}

test("parts have exactly their bytes, in order, however the body is cut and read", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ text: content, isRead: fc.boolean() }), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 10 }),
      async (parts, sizes) => {
        const body = parts
          .map(({ text }, index) => {
            const head = `Content-Disposition: form-data; name="n${index}"; filename="f"\r\nContent-Type: A/B`;
            return `--${boundary}\r\n${head}\r\n\r\n${text}\r\n`;
          })
          .join("");
        const bytes = Buffer.from(`${body}--${boundary}--\r\n`);
        const found: { name: string | undefined; text: string | undefined }[] = [];
        const type = `multipart/form-data; boundary=${boundary}`;
        for await (const { name, contentType, chunks } of formParts(type, cut(bytes, sizes), {
          maxFormParts: 6,
        })) {
          assert.equal(contentType, "a/b");
          if (parts[found.length]?.isRead === false) {
            found.push({ name, text: undefined });
            continue;
          }
          const read: Buffer[] = [];
          for await (const chunk of chunks) read.push(chunk);
          found.push({ name, text: Buffer.concat(read).toString() });
        }
        assert.deepEqual(
          found,
          parts.map(({ text, isRead }, index) => ({
            name: `n${index}`,
            text: isRead ? Buffer.from(text).toString() : undefined,
          })),
        );
      },
    ),
    { numRuns: 150 },
  );
});

test("an error of the body is the error of the form", async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nabc`);
    await new Promise((resolve) => setImmediate(resolve));
    throw new ConnectError("the network broke", Code.Unavailable);
  }
  const read = async (): Promise<void> => {
    const type = `multipart/form-data; boundary=${boundary}`;
    for await (const { chunks } of formParts(type, failing(), { maxFormParts: 6 })) {
      for await (const chunk of chunks) assert.ok(chunk.length > 0);
    }
  };
  await assert.rejects(read(), /^ConnectError: \[unavailable\] the network broke$/);
});

test("which bodies are forms", () => {
  for (const [type, expected] of [
    ["multipart/form-data; boundary=x", true],
    ["Multipart/Form-Data;boundary=x", true],
    ["multipart/form-data", true],
    ["multipart/form-database", false],
    ["multipart/mixed; boundary=x", false],
    ["application/x-www-form-urlencoded", false],
  ] as const) {
    assert.equal(isForm(type), expected, type);
  }
});
