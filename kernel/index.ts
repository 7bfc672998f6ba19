export { type DatabaseCopyOptions, runCopy } from './host/database-copy.ts'
export {
  type AnyPlugin,
  checkDefinition,
  discover,
  discoverBuiltIns,
  type FoundPlugin,
  parseManifest,
} from './host/discovery.ts'
export { Kernel, type KernelOptions } from './host/kernel.ts'
export { checkConfig, type ServeOptions, serve } from './host/serve.ts'
