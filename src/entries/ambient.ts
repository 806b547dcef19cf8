/** `ts-ms/ambient`: calls inside of handlers that are part of the handler's call by themselves. */

export { ambient } from "../core/ambient/ambient.ts";
export type { Ambient } from "../core/call/ambient.ts";
