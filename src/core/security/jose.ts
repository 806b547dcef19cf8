/** The functions of `jose`, for rooms beside this one. */
export { loadJose } from "./jwt/jose-module.ts";
