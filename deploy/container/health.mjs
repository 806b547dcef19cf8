/**
 * Asks programs on this machine whether they are well: exit code 0, or 1 with the reason.
 *
 *     node health.mjs [--wait DURATION] [TARGET …]
 *
 * A target is `http://HOST:PORT/PATH` or `https://…`, where the status 200 is good, or `grpc://HOST:PORT[/SERVICE]`,
 * where SERVING of `grpc.health.v1.Health` is. Certificates are not verified: nothing is sent, and this machine is asked.
 * Without a target those in HEALTH_TARGETS, with spaces between them, else the HTTP of the program, on port 8080.
 * `--wait 30s` asks again until all are well, for so long.
 *
 * It needs nothing but Node, and loads no more of it than one question takes.
 */
import { connect } from "node:net";

const timeoutMs = 1_000;
const pauseMs = 50;

const words = process.argv.slice(2);
const waits = words[0] === "--wait";
const waitMs = waits ? Number(/^(\d+)s$/.exec(words[1] ?? "")?.[1]) * 1_000 : 0;
if (Number.isNaN(waitMs)) fail("--wait takes a duration such as 30s");
const given = words.slice(waits ? 2 : 0);
const standing = (process.env.HEALTH_TARGETS ?? "http://127.0.0.1:8080/livez").split(" ");
const targets = (given.length > 0 ? given : standing).filter(Boolean);

const endMs = performance.now() + waitMs;
for (;;) {
  const problems = (await Promise.all(targets.map(ask))).filter((problem) => problem !== undefined);
  if (problems.length === 0) process.exit(0);
  if (performance.now() >= endMs) fail(problems.join("; "));
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}

/** What is wrong with a target; undefined for nothing. */
async function ask(target) {
  const url = URL.parse(target);
  if (url === null || !/^(?:https?|grpcs?):$/.test(url.protocol))
    return `${target} is no http:// or grpc:// URL`;
  const question = url.protocol.startsWith("http") ? askHttp(url) : askGrpc(url);
  const late = new Promise((resolve) => setTimeout(resolve, timeoutMs, "no answer").unref());
  try {
    const problem = await Promise.race([question, late]);
    return problem === undefined ? undefined : `${target}: ${problem}`;
  } catch (error) {
    return `${target}: ${error.code ?? error.message}`;
  }
}

/** One request over HTTP/1.1. A client of Node's own takes three times as long to load. */
async function askHttp(url) {
  const socket = await open(url, 80);
  return new Promise((resolve, reject) => {
    let head = "";
    socket.setEncoding("latin1").on("data", (text) => {
      head += text;
      if (!head.includes("\r\n")) return;
      socket.destroy();
      resolve(head.startsWith("HTTP/1.1 200 ") ? undefined : head.slice(0, head.indexOf("\r\n")));
    });
    socket.once("error", reject).once("end", () => resolve("closed without an answer"));
    socket.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`,
    );
  });
}

/** The rpc Check of the standard health service. */
async function askGrpc(url) {
  const { connect: session } = await import("node:http2");
  const service = Buffer.from(url.pathname.slice(1));
  const message =
    service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
  const authority = `${url.protocol === "grpcs:" ? "https" : "http"}://${url.host}`;
  const client = session(authority, { rejectUnauthorized: false });
  const stream = client.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
  return new Promise((resolve, reject) => {
    let status;
    const parts = [];
    client.once("error", reject);
    stream.on("response", (headers) => (status = headers["grpc-status"]));
    stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
    stream.on("data", (part) => parts.push(part));
    // That of the connection says more, and comes right behind.
    stream.once("error", (error) => setImmediate(reject, error));
    stream.once("end", () => {
      client.destroy();
      // A message whose only field is the enum, 1 for SERVING, behind its prefix.
      const isServing = Buffer.concat(parts)
        .subarray(5)
        .equals(Buffer.from([0x08, 1]));
      resolve(
        status === "0" && isServing ? undefined : status === "0" ? "NOT_SERVING" : `grpc-status ${status}`,
      );
    });
  });
}

/** A connection to the host of a URL. */
async function open({ protocol, hostname, port }, usual) {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol !== "https:") return connect(Number(port || usual), host);
  const tls = await import("node:tls");
  return tls.connect({ host, port: Number(port || 443), rejectUnauthorized: false });
}

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
