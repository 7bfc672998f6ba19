// A small web app: it says which version it is, tells whether it is well, and ends without cutting anyone off.
const { readFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { join } = require('node:path')

const version = readFileSync(join(__dirname, 'version.txt'), 'utf8').trim()
const greeting = process.env.GREETING ?? 'Hello'
const port = Number(process.env.PORT ?? 3000)

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://hello')
  if (pathname === '/healthz') answer(response, 200, 'text/plain', 'ok\n')
  else if (pathname === '/version')
    answer(response, 200, 'application/json', JSON.stringify({ version, greeting, pid: process.pid }))
  else if (pathname === '/') answer(response, 200, 'text/html; charset=utf-8', page())
  else answer(response, 404, 'text/plain', 'not found\n')
})

server.listen(port, () => console.log(`hello ${version} listens on ${port}`))

process.once('SIGTERM', () => {
  console.log('asked to end')
  // Takes no new connections, finishes what is under way, and then there is nothing left to keep it running.
  server.close(() => console.log('ended'))
})

function answer(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function page() {
  return `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>${escapeHtml(greeting)} from Rivetr</title>
  <h1>${escapeHtml(greeting)} from Rivetr</h1>
  <p>This is version <strong>${escapeHtml(version)}</strong>. Change version.txt, commit and push.</p>
</html>
`
}

function escapeHtml(text) {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`)
}
