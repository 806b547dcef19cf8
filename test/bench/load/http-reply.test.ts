import assert from "node:assert/strict";
import { test } from "node:test";
import { ReplyReader } from "../../../bench/load/http-reply.ts";

const ok = "HTTP/1.1 200 OK\r\n";
const plain = `${ok}Content-Length: 5\r\n\r\nhello`;
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n`;

/** Bytes as they come, and what is heard of them. */
const cases: { name: string; pieces: string[]; heard: string[] }[] = [
  { name: "a length", pieces: [plain], heard: ["hello"] },
  { name: "one after the other", pieces: [plain, plain], heard: ["hello", "hello"] },
  { name: "a head in two pieces", pieces: [plain.slice(0, 20), plain.slice(20)], heard: ["hello"] },
  { name: "a body in two pieces", pieces: [plain.slice(0, -2), plain.slice(-2)], heard: ["hello"] },
  {
    name: "another length after the first",
    pieces: [plain, `${ok}content-length:2\r\n\r\nhi`],
    heard: ["hello", "hi"],
  },
  { name: "no body", pieces: [`${ok}Content-Length: 0\r\n\r\n`], heard: [""] },
  { name: "chunks", pieces: [chunked, chunked], heard: ["hello", "hello"] },
  { name: "chunks byte by byte", pieces: chunked.split(""), heard: ["hello"] },
  { name: "chunks after a length", pieces: [plain, chunked, plain], heard: ["hello", "hello", "hello"] },
  { name: "incomplete", pieces: [plain.slice(0, -1)], heard: [] },
  { name: "chunks that end with what looks like the last", pieces: [chunked.slice(0, -5)], heard: [] },
  { name: "another status", pieces: [plain.replace("200", "201")], heard: ["Error"] },
  {
    name: "another status, as long as the last reply",
    pieces: [plain, plain.replace("200", "500")],
    heard: ["hello", "Error"],
  },
  { name: "two replies at once", pieces: [plain + plain], heard: ["Error"] },
  { name: "two replies in chunks at once", pieces: [chunked + chunked], heard: ["Error"] },
  { name: "neither length nor chunks", pieces: [`${ok}Connection: close\r\n\r\nhello`], heard: ["Error"] },
];

for (const { name, pieces, heard } of cases) {
  test(`http reply: ${name}`, () => {
    const events: string[] = [];
    const reader = new ReplyReader(
      (body) => events.push(body.toString()),
      () => events.push("Error"),
    );
    for (const piece of pieces) reader.push(Buffer.from(piece));
    assert.deepEqual(events, heard);
  });
}
