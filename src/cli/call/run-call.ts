import type { DescMethod, DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { Schema } from "../../core/schema/schema.ts";
import { exitCodes } from "../command.ts";
import { speaksTls } from "../contracts/target-flags.ts";
import { callContracts } from "./call-contracts.ts";
import type { CallFlagValues } from "./call-flags.ts";
import { type CallTarget, openTransport, readTarget } from "./call-target.ts";
import { describeServices, describeService } from "./describe.ts";
import { findRpc } from "./find-rpc.ts";
import { failureOf, printFailure } from "./failure.ts";
import { readHeaders } from "./read-headers.ts";
import { requestsOf, type Requests, sentMessages } from "./requests.ts";
import { Replies } from "./replies.ts";
import { Trace } from "./trace.ts";

/**
 * `ts-ms call`: prints what there is to call, or calls.
 *
 * @param rpc name of an rpc or service; undefined for the list of services
 * @param fields `FIELD=VALUE` each
 * @returns the exit code: 64 and the code of gRPC for a call that fails, 130 after Ctrl-C
 * @throws FlagError, SetupError as commands do
 */
export async function runCall(
  flags: CallFlagValues,
  target: string,
  rpc: string | undefined,
  fields: readonly string[],
): Promise<number> {
  const to = readTarget(target, flags);
  const open = await openTransport(to, flags);
  const { transport } = open;
  const stop = stopSignal(flags.maxTime);
  try {
    const schema = await callContracts(to, flags, rpc, transport, stop.signal);
    const found = rpc === undefined ? undefined : findRpc(schema.services, rpc);
    if (found?.kind === "rpc") return await runRpc(found, { flags, to, schema, fields, transport, stop });
    const text = found === undefined ? describeServices(schema.services) : describeService(found);
    process.stdout.write(text);
    return exitCodes.done;
  } catch (error) {
    if (stop.isInterrupted()) return exitCodes.interrupted;
    const failure = failureOf(error, stop.isLate());
    if (failure === undefined) throw error;
    return printFailure(failure, to, to.isHttps || speaksTls(flags));
  } finally {
    open.close();
  }
}

/** A call that is about to be made. */
interface CallPlan {
  readonly flags: CallFlagValues;
  readonly to: CallTarget;
  readonly schema: Schema;
  readonly fields: readonly string[];
  readonly transport: Transport;
  readonly stop: StopSignal;
}

async function runRpc(method: DescMethod, plan: CallPlan): Promise<number> {
  const { flags, to, schema, fields } = plan;
  const { registry } = schema;
  if (flags.template) {
    const [{ templateOf }, { commentsFrom }] = await Promise.all([
      import("./template.ts"),
      import("../../gateway/faces/comment-files.ts"),
    ]);
    const comments = await commentsFrom(flags.descriptors)(); // The loader of sets drops them.
    process.stdout.write(templateOf(method.input, comments));
    return exitCodes.done;
  }
  const requests = await requestsOf(method, { data: flags.data, fields, registry });
  if (flags.print !== undefined) {
    const { snippet } = await import("./snippets.ts");
    process.stdout.write(await snippet(flags.print, { method, flags, to, requests, registry }));
    return exitCodes.done;
  }
  return call(method, requests, plan);
}

async function call(method: DescMethod, requests: Requests, plan: CallPlan): Promise<number> {
  const { flags, to, schema, transport, stop } = plan;
  const { registry } = schema;
  const headers = readHeaders(flags.header);
  const trace = new Trace(flags.verbose, method, to, headers);
  const replies = new Replies(flags.output, method, registry);
  if (requests.kind === "stdin" && process.stdin.isTTY) {
    process.stderr.write("A request each line, as JSON; Ctrl-D ends them.\n");
  }
  try {
    const [signal, timeoutMs] = [stop.signal, flags.maxTime === 0 ? undefined : flags.maxTime];
    if (method.methodKind === "unary") {
      const [request] = requests.kind === "known" ? requests.messages : [];
      if (request === undefined) throw new TypeError("a unary call has a request");
      const unary = method as DescMethodUnary; // Its kind is what was asked.
      const response = await transport.unary(unary, signal, timeoutMs, headers, request);
      trace.headers(response.header);
      await replies.print(response.message);
      trace.end(response.trailer);
    } else {
      const sent = sentMessages(requests);
      const streaming = method as DescMethodStreaming; // All that are not unary.
      const response = await transport.stream(streaming, signal, timeoutMs, headers, sent);
      trace.headers(response.header);
      for await (const message of response.message) {
        await replies.print(message);
        if (flags.maxMessages > 0 && replies.count >= flags.maxMessages) break;
      }
      trace.end(response.trailer);
    }
    await replies.end();
    return exitCodes.done;
  } catch (error) {
    if (stop.isInterrupted()) return exitCodes.interrupted;
    const failure = failureOf(error, stop.isLate());
    if (failure === undefined) throw error;
    trace.failed(failure);
    return printFailure(failure, to, to.isHttps || speaksTls(flags), registry);
  }
}

/** What ends a call before its time. */
interface StopSignal {
  readonly signal: AbortSignal;
  readonly isInterrupted: () => boolean;
  /** Whether `--max-time` is over. */
  readonly isLate: () => boolean;
}

/** Fires at Ctrl-C, and after `maxMs` if that is not 0. A second Ctrl-C ends the program. */
function stopSignal(maxMs: number): StopSignal {
  const interrupt = new AbortController();
  process.on("SIGINT", () => {
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort();
  });
  const late = maxMs === 0 ? undefined : AbortSignal.timeout(maxMs);
  return {
    signal: late === undefined ? interrupt.signal : AbortSignal.any([interrupt.signal, late]),
    isInterrupted: () => interrupt.signal.aborted,
    isLate: () => late?.aborted === true,
  };
}
