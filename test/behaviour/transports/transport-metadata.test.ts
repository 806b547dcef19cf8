import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure } from "../../support/failure.ts";
import { everyWay } from "../../support/transport-rig.ts";

const bytes = new Uint8Array([0, 1, 2, 250, 255]);

everyWay(
  "request headers reach the handler: repeated and binary ones, none that is reserved",
  async (make) => {
    const seen: Headers[] = [];
    const { client } = await make({
      service: service(EchoService, {
        echo(_request, context) {
          seen.push(context.requestHeader);
          return {};
        },
        async *chat(_requests, context) {
          seen.push(context.requestHeader);
          yield {};
        },
      }),
    });
    const headers = new Headers({
      "X-One": "1",
      "x-two": "a",
      "x-bytes-bin": encodeBinaryHeader(bytes),
      "grpc-status": "5",
      "content-language": "de",
      te: "gzip",
    });
    headers.append("x-two", "b");
    await client.echo({}, { headers });
    await all(client.chat(each({}), { headers }));
    assert.equal(seen.length, 2);
    for (const header of seen) {
      assert.equal(header.get("x-one"), "1");
      assert.equal(header.get("x-two"), "a, b");
      assert.deepEqual([...decodeBinaryHeader(header.get("x-bytes-bin") ?? "")], [...bytes]);
      for (const name of ["grpc-status", "content-language", "te"])
        assert.equal(header.get(name), null, name);
    }
  },
);

everyWay("a handler cannot change the headers that a client keeps", async (make) => {
  const { client } = await make({
    service: service(EchoService, {
      echo(_request, context) {
        context.requestHeader.set("x-mine", "changed");
        return {};
      },
    }),
  });
  const headers = new Headers({ "x-mine": "kept" });
  await client.echo({}, { headers });
  assert.equal(headers.get("x-mine"), "kept");
});

/** Headers and trailers as a client gets them. */
function observed() {
  const seen: { header?: Headers; trailer?: Headers } = {};
  return {
    seen,
    options: {
      onHeader: (headers: Headers) => void (seen.header = headers),
      onTrailer: (headers: Headers) => void (seen.trailer = headers),
    },
  };
}

const replying = service(EchoService, {
  echo(_request, { responseHeader, responseTrailer }) {
    reply(responseHeader, responseTrailer);
    return {};
  },
  async *repeat(_request, { responseHeader, responseTrailer }) {
    responseHeader.append("x-head", "1");
    responseHeader.append("x-head", "2");
    responseHeader.set("x-head-bin", encodeBinaryHeader(bytes));
    responseHeader.set("grpc-status", "13");
    yield {};
    yield {};
    responseTrailer.append("x-tail", "3");
    responseTrailer.append("x-tail", "4");
    responseTrailer.set("x-tail-bin", encodeBinaryHeader(bytes));
    responseTrailer.set("grpc-status", "13");
  },
  async collect(_requests, { responseHeader, responseTrailer }) {
    reply(responseHeader, responseTrailer);
    return {};
  },
  async *chat(_requests, { responseHeader, responseTrailer }) {
    reply(responseHeader, responseTrailer);
    yield* [];
  },
});

function reply(header: Headers, trailer: Headers): void {
  header.append("x-head", "1");
  header.append("x-head", "2");
  header.set("x-head-bin", encodeBinaryHeader(bytes));
  header.set("grpc-status", "13");
  trailer.append("x-tail", "3");
  trailer.append("x-tail", "4");
  trailer.set("x-tail-bin", encodeBinaryHeader(bytes));
  trailer.set("grpc-status", "13");
}

function assertReply({ header, trailer }: { header?: Headers; trailer?: Headers }): void {
  assert.equal(header?.get("x-head"), "1, 2");
  assert.deepEqual([...decodeBinaryHeader(header?.get("x-head-bin") ?? "")], [...bytes]);
  assert.equal(header?.get("grpc-status"), null);
  assert.equal(header?.get("x-tail"), null);
  assert.equal(trailer?.get("x-tail"), "3, 4");
  assert.deepEqual([...decodeBinaryHeader(trailer?.get("x-tail-bin") ?? "")], [...bytes]);
  assert.equal(trailer?.get("grpc-status"), null);
  assert.equal(trailer?.get("x-head"), null);
}

everyWay(
  "G29: headers and trailers of a good reply reach the client, protocol names do not",
  async (make) => {
    const { client } = await make({ service: replying });
    for (const call of [
      (options: object) => client.echo({}, options),
      (options: object) => all(client.repeat({}, options)),
      (options: object) => client.collect(each({}), options),
      (options: object) => all(client.chat(each({}), options)),
    ]) {
      const { seen, options } = observed();
      await call(options);
      assertReply(seen);
    }
  },
);

everyWay("an error keeps code, text, details and metadata", async (make) => {
  const { client } = await make();
  const failing = {
    headers: { "x-head": "h" },
    trailers: { "x-tail": "t" },
    failure: {
      code: Code.FailedPrecondition,
      message: "nicht so: 100 % „Ärger“\n2",
      reasons: ["FIRST", "SECOND"],
      metadata: { "x-error": "e", "grpc-status": "0" },
    },
  };
  for (const call of [
    () => client.echo({ behaviour: failing }),
    () => all(client.repeat({ behaviour: failing })),
    () => client.collect(each({ behaviour: { ...failing, failure: { ...failing.failure, after: 1 } } })),
    () => all(client.chat(each({ behaviour: failing }))),
  ]) {
    const error = await failure(call(), Code.FailedPrecondition);
    assert.equal(error.rawMessage, failing.failure.message);
    assert.deepEqual(
      error.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
      ["FIRST", "SECOND"],
    );
    assert.equal(error.metadata.get("x-head"), "h");
    assert.equal(error.metadata.get("x-tail"), "t");
    assert.equal(error.metadata.get("x-error"), "e");
    assert.equal(error.metadata.get("content-type"), null);
  }
});

everyWay("T25: an error after three messages comes after the three messages", async (make) => {
  const { client } = await make();
  const seen: number[] = [];
  const read = async () => {
    for await (const { index } of client.repeat({
      count: 10,
      behaviour: { failure: { code: Code.Aborted, message: "later", after: 3 } },
    })) {
      seen.push(index);
    }
  };
  const error = await failure(read(), Code.Aborted);
  assert.equal(error.rawMessage, "later");
  assert.deepEqual(seen, [0, 1, 2]);
});

everyWay("one error thrown for many calls does not grow", async (make) => {
  const refused = new ConnectError("no", Code.PermissionDenied, { "x-why": "policy" }, [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason: "POLICY" }) },
  ]);
  const { client } = await make({
    service: service(EchoService, {
      echo(_request, { responseHeader, responseTrailer }) {
        responseHeader.set("x-head", "h");
        responseTrailer.set("x-tail", "t");
        throw refused;
      },
    }),
  });
  for (let call = 0; call < 3; call++) {
    const error = await failure(client.echo({}), Code.PermissionDenied);
    assert.equal(error.metadata.get("x-head"), "h");
    assert.equal(error.metadata.get("x-tail"), "t");
    assert.equal(error.metadata.get("x-why"), "policy");
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "POLICY");
  }
  assert.deepEqual([...refused.metadata], [["x-why", "policy"]]);
});

const thrown: readonly (readonly [string, () => unknown])[] = [
  ["an Error", () => new Error("the password is secret")],
  ["a TypeError", () => new TypeError("secret is not a function")],
  ["a string", () => "secret"],
  ["undefined", () => undefined],
];

for (const [name, make_] of thrown) {
  everyWay(`Z11: ${name} that a handler throws is INTERNAL without its text`, async (make) => {
    const { client } = await make({
      service: service(EchoService, {
        echo() {
          throw make_();
        },
        async *repeat() {
          yield {};
          throw make_();
        },
        async collect() {
          throw make_();
        },
        chat() {
          throw make_();
        },
      }),
    });
    for (const call of [
      () => client.echo({}),
      () => all(client.repeat({})),
      () => client.collect(each({})),
      () => all(client.chat(each({}))),
    ]) {
      const error = await failure(call(), Code.Internal);
      assert.equal(error.rawMessage, "internal error");
      assert.deepEqual(error.details, []);
      assert.doesNotMatch(JSON.stringify([...error.metadata]), /secret/);
    }
  });
}
