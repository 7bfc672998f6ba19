export { confine, isInside } from './confine.ts'
export { mask } from './mask.ts'
export { killGroup, type SpawnOptions, type SpawnResult, spawn } from './spawn.ts'
