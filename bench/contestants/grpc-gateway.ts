/** grpc-gateway: its binary and the backend's address are the arguments. It prints its port. */
import { createInterface } from "node:readline";
import { ForeignProgram } from "./foreign-program.ts";
import { takePart } from "./take-part.ts";

const [binary = "", upstream = ""] = process.argv.slice(2);
const program = new ForeignProgram(binary, [upstream]);
const { stdout } = program.child;
if (stdout === null) throw new Error("the output of grpc-gateway is not to be had");

createInterface(stdout).once("line", (port) => {
  takePart({ port: Number(port), usage: () => program.usage() });
});
