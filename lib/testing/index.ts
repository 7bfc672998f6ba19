export { TestClock } from './clock.ts'
export { createTestKernel, type TestKernel, type TestKernelOptions, testPlugin } from './test-kernel.ts'
