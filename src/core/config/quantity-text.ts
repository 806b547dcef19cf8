const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `250ms`, `5s`, `1.5s`, `2m`, `1h`; 0 needs no unit. @throws Error for anything else. */
export function toDurationMs(text: string): number {
  if (text === "0") return 0;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const unit = unitsMs[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw new Error("must be a duration such as 250ms, 5s, 1.5s or 2m");
  }
  const ms = Number(match[1]) * unit;
  if (ms >= 2 ** 31) throw new Error("must be shorter than 24 days");
  return ms;
}

/** Milliseconds as `toDurationMs` reads them, in the largest unit that needs no fraction. */
export function showDuration(ms: number): string {
  if (ms === 0) return "0";
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1_000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

const unitsBytes: Readonly<Record<string, number>> = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Bytes of `4096`, `64KiB`, `3MiB`, `1GiB`. @throws Error for anything else, 0, and 2 GiB or more. */
export function toSizeBytes(text: string): number {
  const match = /^(\d+)(|KiB|MiB|GiB)$/.exec(text);
  const unit = unitsBytes[match?.[2] ?? "none"];
  if (match === null || unit === undefined) throw new Error("must be a size such as 4096, 64KiB or 1MiB");
  const bytes = Number(match[1]) * unit;
  if (bytes < 1 || bytes >= 2 ** 31) throw new Error("must be at least 1 byte and less than 2GiB");
  return bytes;
}

/** Bytes as `toSizeBytes` reads them, in the largest unit that needs no fraction. */
export function showSize(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"]) {
    const size = unitsBytes[unit] ?? 1;
    if (bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
