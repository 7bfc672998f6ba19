import type { StageRuntime } from '../stage/runtimes.ts'

/** An app that says which version it is once it has the whole request, and ends without cutting anyone off. */
const server = `const { readFileSync } = require('node:fs')
const version = readFileSync(__dirname + '/version.txt', 'utf8').trim()
const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => response.end(version))
})
server.listen(Number(process.env.PORT), () => console.log('version ' + version))
process.once('SIGTERM', () => server.close())
`

/** What the release command prints each time it runs. */
export const releaseLine = 'the release command runs'

const release = (seconds: number) => `echo '${releaseLine}'\nsleep ${seconds}\n`

/** Files of the app: as it is quick, and what makes a step take long. */
export function appFiles(runtime: StageRuntime['name']): {
  readonly quick: Readonly<Record<string, string>>
  readonly slowBuild: Readonly<Record<string, string>>
  readonly slowRelease: Readonly<Record<string, string>>
} {
  const slowRelease = { 'release.sh': release(5) }
  const shared = { 'server.js': server, 'release.sh': release(0) }
  if (runtime === 'native') {
    const manifest = (scripts: Record<string, string>) =>
      JSON.stringify({ name: 'app', private: true, scripts })
    return {
      quick: { ...shared, Procfile: 'web: node server.js\n', 'package.json': manifest({}) },
      slowBuild: { 'package.json': manifest({ build: 'echo building; sleep 4' }) },
      slowRelease,
    }
  }
  const dockerfile = (command: string) =>
    `FROM rivetr-test/node\nWORKDIR /app\n${command}COPY server.js release.sh version.txt ./\nEXPOSE 3000\nCMD ["node", "server.js"]\n`
  return {
    quick: { ...shared, Dockerfile: dockerfile('') },
    slowBuild: { Dockerfile: dockerfile('RUN echo building && sleep 4\n') },
    slowRelease,
  }
}
