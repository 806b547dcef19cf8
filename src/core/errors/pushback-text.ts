import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { ConnectError } from "@connectrpc/connect";
import { isSpent } from "./spent-retries.ts";

const retryInfo = "google.rpc.RetryInfo";
/** The largest value of `grpc-retry-pushback-ms`, an int32. */
const longestMs = 0x7fff_ffff;

/**
 * The value of the trailer `grpc-retry-pushback-ms` of an error: -1 if this process has used up its own retries, else
 * the time of its `google.rpc.RetryInfo`; undefined without either. It reads the detail without its contract, which most
 * programs do not load.
 */
export function pushbackText(error: ConnectError): string | undefined {
  if (isSpent(error)) return "-1";
  for (const detail of error.details) {
    const type = "desc" in detail ? detail.desc.typeName : detail.type;
    if (type !== retryInfo) continue;
    try {
      const bytes =
        "desc" in detail ? toBinary(detail.desc, create(detail.desc, detail.value)) : detail.value;
      const ms = retryDelayMs(bytes);
      if (ms !== undefined) return ms < 0 ? "-1" : String(Math.min(Math.ceil(ms), longestMs));
    } catch {
      continue; // A broken detail is no detail.
    }
  }
  return undefined;
}

/** The delay of a `RetryInfo`, whose field 1 is a `Duration`: seconds are its field 1, nanoseconds its field 2. */
function retryDelayMs(bytes: Uint8Array): number | undefined {
  const info = new BinaryReader(bytes);
  let ms: number | undefined;
  while (info.pos < info.len) {
    const [field, wireType] = info.tag();
    if (field !== 1 || wireType !== 2) {
      info.skip(wireType, field);
      continue;
    }
    const delay = new BinaryReader(info.bytes());
    ms = 0;
    while (delay.pos < delay.len) {
      const [part, type] = delay.tag();
      if (part === 1 && type === 0) ms += Number(delay.int64()) * 1_000;
      else if (part === 2 && type === 0) ms += delay.int32() / 1_000_000;
      else delay.skip(type, part);
    }
  }
  return ms;
}
