/** llhttp compiled to WebAssembly. Without the rest of undici an edge is smaller; all of its version is pinned. */
declare module 'undici/lib/llhttp/llhttp_simd-wasm.js' {
  const wasm: Buffer
  export default wasm
}

/** As much of it as is used: the types of Node leave it to those of browsers. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  class Module {
    constructor(bytes: Buffer)
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, (...args: number[]) => number>>)
    readonly exports: unknown
  }
}
