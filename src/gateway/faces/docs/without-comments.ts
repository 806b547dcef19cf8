/**
 * A script or style sheet of the console without its comments and types, a fifth of what would be sent. Lines stay where
 * they are, for errors name them. The files contain no text with the beginning of such a comment; a test compares what
 * they mean.
 */
export function withoutComments(file: string, text: string): string {
  const blocks = file.endsWith(".css") ? /[ \t]*\/\*[^]*?\*\//g : /\/\*\*[^]*?\*\/ ?/g;
  const lines = file.endsWith(".css") ? text : text.replaceAll(/^[ \t]*\/\/.*$/gm, "");
  return lines.replaceAll(blocks, (block) => block.replaceAll(/[^\n]/g, "")).replaceAll(/[ \t]+$/gm, "");
}
