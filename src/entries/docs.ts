/** The console in the browser, `ts-ms/docs`. */
export { docs } from "../gateway/faces/docs/docs.ts";
export type { DocsExample, DocsLink, DocsOptions } from "../gateway/faces/docs/docs-options.ts";
