/** Limits of forms. The size of a form that is read whole is limited as that of any body. */
export interface FormOptions {
  /** The most parts of a form: 400 beyond. Default: 1,000. */
  readonly maxFormParts: number;
  /** The longest name of a part, in characters: 400 beyond. Default: 200. */
  readonly maxPartNameLength: number;
}

/** The defaults of `FormOptions`. */
export const formDefaults: FormOptions = Object.freeze({ maxFormParts: 1000, maxPartNameLength: 200 });
