// The app that the contract suites run, inside an image or a folder. Plain JavaScript for Node, no dependencies.
//
//   serve            the default: an HTTP server on HOST:PORT; without PORT it only waits
//   print STREAM TEXT [TIMES]   prints TEXT (or TEXT 1, TEXT 2, ...) to stdout or stderr, and ends
//   pieces PIECE...  prints "begin", then twice a line of these pieces, each written by itself, the last line without an end
//   exit CODE        ends at once with this exit code
//   wait             prints "waiting" and waits for ever
//   terminal         prints "a terminal" or "no terminal", "size COLUMNSxROWS" now and whenever that changes, and "got LINE" for
//                    each line that is typed; the line "exit N" ends it with this exit code
//
// When it serves:
//   GET /env                        its environment as JSON
//   GET /exit?code=N                ends with this exit code
//   GET /print?stream=stderr&text=T prints a line
//   GET /long?bytes=N               prints one line of N bytes, each like its place, and then the line "after"
//   GET /memory?mib=N               takes and touches so much memory
//   GET /sleep?ms=N                 answers after a while
//   anything else                   "hello from <APP_NAME>"
//
// SIGTERM: prints "asked to end" and ends with 0; with IGNORE_SIGTERM=1 it prints and goes on.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const [verb = 'serve', ...args] = process.argv.slice(2)

process.on('SIGTERM', () => {
  process.stdout.write('asked to end\n', () => {
    if (process.env.IGNORE_SIGTERM !== '1') process.exit(0)
  })
})

if (verb === 'print') print(args[0], args[1] ?? '', Number(args[2] ?? 0))
else if (verb === 'pieces') await printPieces(args)
else if (verb === 'exit') process.exit(Number(args[0] ?? 0))
else if (verb === 'wait') wait()
else if (verb === 'terminal') terminal()
else if (process.env.PORT === undefined) wait()
else serve()

function print(stream, text, times) {
  const lines = times === 0 ? [text] : Array.from({ length: times }, (_, index) => `${text} ${index + 1}`)
  process[stream === 'stderr' ? 'stderr' : 'stdout'].write(`${lines.join('\n')}\n`)
}

async function printPieces(pieces) {
  for (const piece of ['begin\n', ...pieces, '\n', ...pieces]) {
    await new Promise((resolve) => process.stdout.write(piece, resolve))
    await sleep(50) // so that who reads them reads each by itself
  }
}

function wait() {
  setInterval(() => {}, 60_000)
  process.stdout.write('waiting\n')
}

function terminal() {
  const { stdin, stdout } = process
  const say = (text) => stdout.write(`${text}\r\n`)
  const saySize = () => say(`size ${stdout.columns}x${stdout.rows}`)
  say(stdout.isTTY ? 'a terminal' : 'no terminal')
  saySize()
  stdout.on('resize', saySize)
  createInterface({ input: stdin }).on('line', (line) => {
    const [, code] = /^exit (\d+)$/.exec(line) ?? []
    if (code !== undefined) process.exit(Number(code))
    say(`got ${line}`)
  })
}

function serve() {
  const held = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://app')
    const number = (name) => Number(url.searchParams.get(name) ?? 0)
    if (url.pathname === '/env') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(process.env))
    } else if (url.pathname === '/exit') {
      response.end('bye', () => process.exit(number('code')))
    } else if (url.pathname === '/print') {
      print(url.searchParams.get('stream'), url.searchParams.get('text') ?? '', number('times'))
      response.end('printed')
    } else if (url.pathname === '/long') {
      const digits = Array.from({ length: number('bytes') }, (_, index) => index % 10)
      process.stdout.write(`${digits.join('')}\nafter\n`)
      response.end('printed')
    } else if (url.pathname === '/memory') {
      for (let mib = 0; mib < number('mib'); mib++) held.push(Buffer.alloc(1024 * 1024, 1))
      response.end(`holding ${held.length} MiB`)
    } else if (url.pathname === '/sleep') {
      setTimeout(() => response.end('awake'), number('ms'))
    } else {
      response.end(`hello from ${process.env.APP_NAME}`)
    }
  })
  server.listen(Number(process.env.PORT), process.env.HOST ?? '0.0.0.0', () =>
    process.stdout.write('listening\n'),
  )
}
