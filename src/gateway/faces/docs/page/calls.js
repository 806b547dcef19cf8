/**
 * Calls, whichever protocol carries them.
 *
 * @typedef {[name: string, value: string]} Header
 *
 * @typedef {object} CallInit
 * @property {import("./model.js").Rpc} rpc
 * @property {"rest" | "connect" | "socket"} via
 * @property {string} root what stands in front of all paths
 * @property {string} socketPath
 * @property {import("./rest-request.js").RestRequest | undefined} rest the request over REST
 * @property {readonly string[]} messages JSON texts, one for all but streams of requests
 * @property {readonly Header[]} headers
 * @property {number | undefined} timeoutMs
 *
 * @typedef {object} Outcome
 * @property {number} code of gRPC; 0 for OK
 * @property {string} message
 * @property {string | undefined} details JSON
 * @property {readonly import("./form.js").Violation[]} violations
 * @property {readonly Header[]} trailers
 *
 * @typedef {object} CallEvents
 * @property {(status: string, headers: readonly Header[]) => void} head
 * @property {(text: string) => void} message a message of a stream
 * @property {(body: Blob, type: string) => void} body the whole answer
 * @property {(outcome: Outcome) => void} end
 * @property {(isPaused: boolean) => void} pause whether the server asks to send no more
 *
 * @typedef {object} RunningCall
 * @property {() => void} cancel
 * @property {(text: string) => void} [send]
 * @property {() => void} [endRequests]
 */
import { fetchCall } from "./fetch-call.js";
import { socketCall } from "./socket-call.js";

/**
 * Begins a call.
 *
 * @param {CallInit} init
 * @param {CallEvents} events
 * @returns {RunningCall}
 */
export function beginCall(init, events) {
  return init.via === "socket" ? socketCall(init, events) : fetchCall(init, events);
}
