/** A program of `bench/peers/go`: its binary and further arguments are the arguments. It prints its port. */
import { createInterface } from "node:readline";
import { ForeignProgram } from "./foreign-program.ts";
import { takePart } from "./take-part.ts";

const [binary = "", ...args] = process.argv.slice(2);
const program = new ForeignProgram(binary, args);
const { stdout } = program.child;
if (stdout === null) throw new Error(`the output of ${binary} is not to be had`);

createInterface(stdout).once("line", (port) => {
  takePart({ port: Number(port), usage: () => program.usage() });
});
