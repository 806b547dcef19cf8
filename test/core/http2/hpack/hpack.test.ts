import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BlockMemo } from "../../../../src/core/http2/hpack/block-memo.ts";
import { CompressionError } from "../../../../src/core/http2/hpack/compression-error.ts";
import { HpackDecoder } from "../../../../src/core/http2/hpack/decoder.ts";
import {
  HpackEncoder,
  listBytesOf,
  mostBytesOf,
  writeLiterals,
} from "../../../../src/core/http2/hpack/encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "../../../../src/core/http2/hpack/huffman.ts";
import { threadMs } from "../../../support/thread-time.ts";

const noLimit = 2 ** 31;

/** The fields of a block, each as `name: value`. */
function decode(decoder: HpackDecoder, block: Buffer): string[] {
  const fields: string[] = [];
  decoder.decode(block, 0, block.length, (name, value) => fields.push(`${name}: ${value}`));
  return fields;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
}

/** The blocks of RFC 7541 Appendix C: each group is a connection, with the size of its table. */
const examples: readonly {
  readonly name: string;
  readonly table?: number;
  readonly blocks: readonly (readonly [hex: string, ...fields: string[]])[];
}[] = [
  {
    name: "C.2.1 literal with indexing",
    blocks: [
      ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header"],
    ],
  },
  {
    name: "C.2.2 literal without indexing",
    blocks: [["040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path"]],
  },
  {
    name: "C.2.3 literal never indexed",
    blocks: [["1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret"]],
  },
  { name: "C.2.4 indexed", blocks: [["82", ":method: GET"]] },
  {
    name: "C.3 requests without Huffman coding",
    blocks: [
      [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        ...[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
      ],
      [
        "8286 84be 5808 6e6f 2d63 6163 6865",
        ...[
          ":method: GET",
          ":scheme: http",
          ":path: /",
          ":authority: www.example.com",
          "cache-control: no-cache",
        ],
      ],
      [
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ...[":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"],
        "custom-key: custom-value",
      ],
    ],
  },
  {
    name: "C.4 requests with Huffman coding",
    blocks: [
      [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        ...[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
      ],
      [
        "8286 84be 5886 a8eb 1064 9cbf",
        ...[
          ":method: GET",
          ":scheme: http",
          ":path: /",
          ":authority: www.example.com",
          "cache-control: no-cache",
        ],
      ],
      [
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ...[":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com"],
        "custom-key: custom-value",
      ],
    ],
  },
  {
    name: "C.5 responses without Huffman coding",
    table: 256,
    blocks: [
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        ...[":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT"],
        "location: https://www.example.com",
      ],
      [
        "4803 3330 37c1 c0bf",
        ...[":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT"],
        "location: https://www.example.com",
      ],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
        ...[":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT"],
        ...["location: https://www.example.com", "content-encoding: gzip"],
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
      ],
    ],
  },
  {
    name: "C.6 responses with Huffman coding",
    table: 256,
    blocks: [
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        ...[":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT"],
        "location: https://www.example.com",
      ],
      [
        "4883 640e ffc1 c0bf",
        ...[":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT"],
        "location: https://www.example.com",
      ],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        ...[":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT"],
        ...["location: https://www.example.com", "content-encoding: gzip"],
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
      ],
    ],
  },
];

for (const { name, table, blocks } of examples) {
  test(`RFC 7541 ${name}`, () => {
    const decoder = new HpackDecoder(noLimit, table);
    for (const [hex, ...fields] of blocks) assert.deepEqual(decode(decoder, bytesOf(hex)), fields);
  });
}

for (const [name, hex] of [
  ["an index of 0", "80"],
  ["an index beyond the static table", "be"],
  ["a name beyond the tables", "7f 00 01 61"],
  ["a block that ends inside an index", "ff"],
  ["a block that ends inside a string", "00 03 61"],
  ["a block that ends before a value", "00 01 61"],
  ["an integer above 2^31 - 1", "ff 81 ff ff ff 07"],
  ["an integer that never ends", "ff 80 80 80 80 80 80 80 00"],
  ["a size update above what was announced", "3f e2 1f"],
  ["a size update behind a field", "82 20"],
  ["three size updates", "20 20 20"],
  ["EOS in a Huffman string", "00 01 61 84 ff ff ff ff"],
  ["Huffman padding of a whole byte", "00 01 61 82 1f ff"],
  ["Huffman padding that is not of ones", "00 01 61 81 18"],
] as const) {
  test(`rule 4: ${name} is a CompressionError`, () => {
    assert.throws(() => decode(new HpackDecoder(noLimit), bytesOf(hex)), CompressionError);
  });
}

test("rule 4: a list above the limit is decoded to its end, and no further field is kept", () => {
  const decoder = new HpackDecoder(100);
  const fields = decode(
    decoder,
    bytesOf(`00 01 61 1e ${"7a".repeat(30)} 00 01 62 1e ${"7a".repeat(30)} 40 01 63 01 64`),
  );
  assert.equal(fields.length, 1);
  assert.equal(decoder.tooLarge, true);
  assert.deepEqual(decode(decoder, bytesOf("be")), ["c: d"]);
  assert.equal(decoder.tooLarge, false);
});

test("E02: one indexed field repeated to 64 MiB costs neither memory nor time", () => {
  const decoder = new HpackDecoder(65_536);
  decode(decoder, bytesOf(`40 01 61 7f a1 1e ${"7a".repeat(4_000)}`));
  const before = process.memoryUsage().rss;
  const begun = threadMs();
  assert.equal(decode(decoder, Buffer.alloc(17_000, 0xbe)).length, 16);
  assert.ok(decoder.listBytes > 64 * 1024 * 1024);
  assert.ok(threadMs() - begun < 1_000);
  assert.ok(process.memoryUsage().rss - before < 5 * 1024 * 1024);
});

const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
const names = fc.stringMatching(/^[0-9a-z_.-]{1,12}$/);
const lists = fc.array(fc.tuple(names, bytes), { maxLength: 20 });

test("every string of bytes comes back through Huffman coding", () => {
  fc.assert(
    fc.property(bytes, (text) => {
      const into = Buffer.alloc(huffmanLength(text) + 4);
      const end = encodeHuffman(text, into, 2);
      assert.equal(end, 2 + huffmanLength(text));
      assert.equal(decodeHuffman(into, 2, end), text);
    }),
  );
});

function encode(encoder: HpackEncoder, shared: readonly string[], own: readonly string[]): Buffer {
  const into = Buffer.alloc(12 + mostBytesOf(shared) + mostBytesOf(own));
  let end = encoder.writeResizes(into, 0);
  end = encoder.writeShared(shared, into, end);
  end = writeLiterals(own, into, end);
  return into.subarray(0, end);
}

test("what the encoder writes is what the decoder reads, whatever the sizes of the table", () => {
  const step = fc.record({
    sizes: fc.array(fc.nat(8_192), { maxLength: 3 }),
    shared: lists,
    own: lists,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(noLimit);
      for (const { sizes, shared, own } of steps) {
        for (const size of sizes) encoder.limit(size);
        const block = encode(encoder, shared.flat(), own.flat());
        const expected = [...shared, ...own].map(([name, value]) => `${name}: ${value}`);
        assert.deepEqual(decode(decoder, block), expected);
      }
    }),
  );
});

test("no bytes make the decoder throw anything but a CompressionError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (blocks) => {
      const decoder = new HpackDecoder(200);
      try {
        for (const block of blocks) decode(decoder, Buffer.from(block));
      } catch (error) {
        assert.ok(error instanceof CompressionError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("rule 9: shared fields are one byte each from the second block on, and are never evicted", () => {
  const encoder = new HpackEncoder();
  const common = [":method", "POST", "te", "trailers", "user-agent", "ts-ms"];
  encode(encoder, [...common, ":path", "/first"], []);
  assert.equal(encode(encoder, [...common, ":path", "/first"], []).length, 4);
  const { version } = encoder;
  let lengths = 0;
  for (let rpc = 0; rpc < 10_000; rpc++)
    lengths += encode(encoder, [...common, ":path", `/rpc/${rpc}`], []).length;
  assert.ok(lengths < 10_000 * 20);
  assert.ok(encoder.version - version < 128, "the table is full and stays as it is");
  // An index of a full table takes two bytes.
  assert.ok(encode(encoder, [...common, ":path", "/first"], []).length <= 8);
});

test("rule 9: secrets are never-indexed literals, and values of one call enter no table", () => {
  const encoder = new HpackEncoder();
  const secrets = ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];
  for (const name of secrets) {
    for (const block of [encode(encoder, [name, "secret"], []), encode(encoder, [], [name, "secret"])]) {
      assert.equal(block.readUInt8(0) & 0xf0, 0x10, name);
    }
  }
  for (let call = 0; call < 100_000; call++) encode(encoder, [], ["grpc-timeout", `${call}m`]);
  assert.equal(encoder.version, 0);
});

test("rule 10: a smaller table is announced at the head of the next block; 0 means literals only", () => {
  const encoder = new HpackEncoder();
  encode(encoder, ["a", "b"], []);
  encoder.limit(0);
  encoder.limit(100);
  assert.equal(encode(encoder, ["a", "b"], []).subarray(0, 3).toString("hex"), "203f45");
  encoder.limit(0);
  const block = encode(encoder, ["a", "b"], []);
  assert.equal(block.readUInt8(0), 0x20);
  assert.equal(block.readUInt8(1), 0x00);
  encoder.limit(4_096);
  encoder.limit(1 << 30);
  assert.equal(encode(encoder, ["a", "b"], []).subarray(0, 3).toString("hex"), "3fe11f");
});

test("rule 5: the last four blocks are found again until the table changes", () => {
  const memo = new BlockMemo<string>();
  const blocks = ["88c0", "bf", "88be", "8888", "c1"].map((hex) => Buffer.from(hex, "hex"));
  for (const block of blocks) memo.keep(block, 0, block.length, 1, block.toString("hex"));
  const [first = assert.fail(), ...others] = blocks;
  assert.equal(memo.find(first, 0, first.length, 1), undefined);
  for (const block of others) {
    assert.equal(memo.find(block, 0, block.length, 1), block.toString("hex"));
    assert.equal(memo.find(block, 0, block.length, 2), undefined);
  }
});

test("the size of a list counts 32 bytes for each field", () => {
  assert.equal(listBytesOf(["a", "bc", "d", ""]), 3 + 32 + 1 + 32);
});
