/** `ts-ms/pages`: files of folders, and pages of templates. */

export { openPages, type Pages } from "../gateway/pages/pages.ts";
export {
  pagesDefaults,
  type PagesOptions,
  type StaticFolder,
  staticFolderDefaults,
  type StaticFolderInit,
} from "../gateway/pages/pages-options.ts";
export type { FileAnswer, FileFolder, FoundFile, ServedFiles } from "../gateway/http/served-files.ts";
export { FilesService } from "../../gen/ts_ms/pages/v1/pages_pb.ts";
