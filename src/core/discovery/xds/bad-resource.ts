import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  FractionalPercent_DenominatorType,
  type FractionalPercent,
} from "../../../../gen/envoy/type/v3/percent_pb.ts";

/** A resource that cannot be used; its text is for the control plane. */
export class BadResource extends Error {}

/** A duration in milliseconds; undefined for none. @throws BadResource if it is out of range */
export function durationMs(duration: Duration | undefined, field: string): number | undefined {
  if (duration === undefined) return undefined;
  const seconds = Number(duration.seconds);
  if (seconds < 0 || seconds > 315_576_000_000 || duration.nanos < 0 || duration.nanos > 999_999_999) {
    throw new BadResource(`${field} is out of range`);
  }
  return seconds * 1_000 + duration.nanos / 1e6;
}

/** A share as a number from 0 to 1; 0 for none. @throws BadResource if its denominator is unknown */
export function shareOf(percent: FractionalPercent | undefined, field: string): number {
  if (percent === undefined) return 0;
  switch (percent.denominator) {
    case FractionalPercent_DenominatorType.HUNDRED:
      return Math.min(1, percent.numerator / 100);
    case FractionalPercent_DenominatorType.TEN_THOUSAND:
      return Math.min(1, percent.numerator / 10_000);
    case FractionalPercent_DenominatorType.MILLION:
      return Math.min(1, percent.numerator / 1_000_000);
    default:
      throw new BadResource(`${field} has an unknown denominator`);
  }
}
