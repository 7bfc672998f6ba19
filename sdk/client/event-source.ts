import { ApiError, errorOf } from './api-error.ts'

/** Reads server-sent events: yields the data of each, ends with `end`, throws what `error` says. */
export async function* readEvents<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  for await (const { event, data } of parse(body)) {
    if (event === 'end') return
    if (event === 'error') throw errorOf(0, JSON.parse(data))
    yield JSON.parse(data) as T
  }
  throw new ApiError('unreachable', 0, 'the connection broke off before the log had ended')
}

/** The wire format (WHATWG HTML, 9.2.6): fields by line, an empty line ends the event, a colon first is a comment. */
async function* parse(body: ReadableStream<Uint8Array>): AsyncGenerator<{ event: string; data: string }> {
  let event = 'message'
  let data: string[] = []
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') }
      event = 'message'
      data = []
    } else if (line.startsWith('event:')) event = fieldValue(line)
    else if (line.startsWith('data:')) data.push(fieldValue(line))
  }
}

function fieldValue(line: string): string {
  return line.slice(line.indexOf(':') + 1).replace(/^ /, '')
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader() // not every browser can iterate a stream
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      rest += decoder.decode(read.value, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield line.replace(/\r$/, '')
    }
  } finally {
    await reader.cancel()
  }
}
