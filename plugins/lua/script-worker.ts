// The thread in which scripts run. It does one job at a time, and waits (blocked) for each answer of the host: so a script
// may ask from wherever it is, and the host can end the thread at any moment.
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { MemoryBudget } from './memory-budget.ts'
import { type FromThread, type HostReply, type Job, shared } from './messages.ts'
import type { Plain } from './plain.ts'

const { state, answers } = workerData as { state: Int32Array; answers: MessagePort }
const say = (message: FromThread) => parentPort?.postMessage(message)

const budget = new MemoryBudget(() => halt('strings'))
budget.watch()
const { run } = await import('./interpreter.ts')

parentPort?.on('message', (job: Job) => {
  let output = job.limits.outputBytes
  const host = {
    call(name: string, args: readonly Plain[]): HostReply {
      say({ kind: 'call', name, args })
      Atomics.wait(state, shared.answered, 0)
      Atomics.store(state, shared.answered, 0)
      return receiveMessageOnPort(answers)?.message as HostReply
    },
    print(line: string) {
      if (output < 0) return
      output -= line.length + 1
      say({ kind: 'line', text: output < 0 ? '(the rest of its output is left out)' : line })
    },
    now: () => Date.now(),
  }
  const watch = {
    line(number: number) {
      state[shared.line] = number
    },
    spent: () => halt('instructions'),
  }
  budget.begin(job.limits.stringBytes)
  const outcome = run(job, host, watch)
  budget.end()
  say({ kind: 'outcome', outcome })
})
say({ kind: 'ready' })

/** The end, whatever a script would catch: the host ends the thread. */
function halt(what: 'instructions' | 'strings'): never {
  say({ kind: 'spent', what })
  Atomics.wait(state, shared.answered, 0)
  throw new Error('unreachable')
}
