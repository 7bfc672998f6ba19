import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { eventually } from '@rivetr/testing/suites/eventually'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'

describe('an edge', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply = answerOk, config = {}) => {
    edge = await TestEdge.start(reply, config)
    return edge
  }
  afterEach(() => edge.close())

  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  const framings: [string, string, RegExp][] = [
    [
      'chunked DELETE',
      `DELETE /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n23\r\n${smuggled}\r\n0\r\n\r\n`,
      /(transfer-encoding: chunked|content-length: 35)\r\n/i,
    ],
    [
      'chunked OPTIONS',
      `OPTIONS /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n23\r\n${smuggled}\r\n0\r\n\r\n`,
      /(transfer-encoding: chunked|content-length: 35)\r\n/i,
    ],
    [
      'DELETE with Content-Length: 0',
      `DELETE /a HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`,
      /^(?!.*(content-length: [1-9]|transfer-encoding))/is,
    ],
    [
      'DELETE with five bytes',
      `DELETE /a HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
      /content-length: 5\r\n(.+\r\n)*\r\nhello$/i,
    ],
    [
      'GET with five bytes',
      `GET /a HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`,
      /content-length: 5\r\n(.+\r\n)*\r\nhello$/i,
    ],
    [
      'DELETE without framing',
      `DELETE /a HTTP/1.1\r\n${host}\r\n`,
      /^(?!.*(content-length|transfer-encoding))/is,
    ],
    [
      'Content-Length named in Connection',
      `POST /a HTTP/1.1\r\n${host}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello`,
      /content-length: 5\r\n(.+\r\n)*\r\nhello$/i,
    ],
  ]
  for (const [what, request, arrives] of framings) {
    it(`A1: ${what} reaches the app with one framing that is true`, async () => {
      await start()
      assert.match(await edge.exchange(request), /^HTTP\/1.1 200 /)
      const head = edge.app.text.slice(0, edge.app.text.indexOf('\r\n\r\n'))
      assert.match(edge.app.text, arrives)
      const framingFields = head.match(/\r\n(content-length|transfer-encoding):/gi) ?? []
      assert.ok(framingFields.length <= 1, head)
      // The next request does not find the smuggled one on its connection.
      await edge.exchange(`GET /next HTTP/1.1\r\n${host}\r\n`)
      const requestLines = edge.app.connections.flatMap(({ text }) => text.match(/GET \/next HTTP/g) ?? [])
      assert.equal(requestLines.length, 1)
    })
  }
  for (const [what, request] of [
    [
      'Transfer-Encoding and Content-Length',
      `POST /a HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['two Content-Lengths', `POST /a HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ['two Hosts', `GET /a HTTP/1.1\r\n${host}Host: other.example.test\r\n\r\n`],
    ['a folded field', `GET /a HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n`],
    ['a space before the colon', `GET /a HTTP/1.1\r\n${host}X-A : b\r\n\r\n`],
    ['no Host in HTTP/1.1', 'GET /a HTTP/1.1\r\n\r\n'],
  ] as const) {
    it(`A1: ${what} is refused with 400, and nothing reaches the app`, async () => {
      await start()
      const client = edge.client()
      client.send(request)
      await client.ended()
      assert.match(client.text, /^HTTP\/1.1 400 /)
      assert.equal(edge.app.text, '')
    })
  }

  it('A8: fields for one connection cross in neither direction', async () => {
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      socket.write(
        'HTTP/1.1 200 OK\r\nConnection: ,, X-Inner ,\r\nconnection: x-other\r\nX-Inner: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=9\r\n' +
          'Proxy-Authenticate: Basic\r\nTrailer: x\r\nUpgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok',
      )
    })
    const answer = await edge.exchange(
      `GET /a HTTP/1.1\r\n${host}Connection: close, X-Secret\r\nconnection: ,, x-other ,\r\nX-Secret: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=9\r\n` +
        'TE: trailers\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-Kept: 1\r\n\r\n',
    )
    for (const name of ['x-secret', 'x-other', 'keep-alive:', 'te:', 'proxy-'])
      assert.doesNotMatch(edge.app.text, new RegExp(`\r\n${name}`, 'i'))
    assert.match(edge.app.text, /\r\nX-Kept: 1/)
    assert.match(edge.app.text, /\r\nconnection: keep-alive/i, "the client's wish to close is not the pool's")
    for (const name of ['x-inner', 'x-other', 'proxy-', 'trailer', 'upgrade', 'keep-alive: timeout=9'])
      assert.doesNotMatch(answer, new RegExp(`\r\n${name}`, 'i'))
    assert.match(answer, /\r\nX-Kept: 1/)
  })

  it('A10: forwarding fields of a stranger are replaced', async () => {
    await start()
    await edge.exchange(
      `GET /a HTTP/1.1\r\n${host}X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\n\r\n`,
    )
    assert.doesNotMatch(edge.app.text, /6\.6\.6\.6|https|evil|-port/i)
    assert.match(
      edge.app.text,
      /\r\nx-forwarded-for: 127\.0\.0\.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app\.example\.test\r\n/,
    )
  })

  it('A10: the chain of a trusted proxy is kept from its right-most untrusted hop on', async () => {
    await start(answerOk, { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] })
    await edge.exchange(
      `GET /a HTTP/1.1\r\n${host}X-Forwarded-For: 6.6.6.6, 9.9.9.9, ::ffff:10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n`,
    )
    assert.match(
      edge.app.text,
      /\r\nx-forwarded-for: 9\.9\.9\.9, 10\.0\.0\.1, 127\.0\.0\.1\r\nx-forwarded-proto: https\r\n/,
    )
  })

  for (const name of [
    'app.example.test',
    'APP.EXAMPLE.TEST',
    'app.example.test:8443',
    'app.example.test.',
    'app.example.test.:443',
  ]) {
    it(`A11: the route is found for Host ${name}`, async () => {
      await start()
      assert.match(await edge.exchange(`GET /a HTTP/1.1\r\nHost: ${name}\r\n\r\n`), /^HTTP\/1.1 200 /)
      assert.match(
        edge.app.text,
        new RegExp(`\r\nhost: ${name.replaceAll('.', '\\.')}\r\n`),
        'Host is kept as it came',
      )
    })
  }
  for (const name of [
    '[2001:db8::1]:8080',
    '127.0.0.1',
    'example.test',
    '.example.test',
    'app.example.test..',
    'a b',
    '',
  ]) {
    it(`A11: Host ${JSON.stringify(name)} gets the page that names no app`, async () => {
      await start()
      const answer = await edge.exchange(`GET /a HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1.1 40[04] /)
      assert.doesNotMatch(answer, /app\./)
    })
  }
  it('A11: an IPv6 literal is found with and without port, and HTTP/1.0 without Host gets 404', async () => {
    await start()
    edge.route({ host: '[2001:db8::1]' })
    assert.match(
      await edge.exchange('GET /a HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n\r\n'),
      /^HTTP\/1.1 200 /,
    )
    const client = edge.client()
    client.send('GET /a HTTP/1.0\r\n\r\n')
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 404 /)
  })
  it('A11: a wildcard takes one label, no more and no less', async () => {
    await start()
    edge.route({ host: '*.example.test' })
    for (const [name, status] of [
      ['app.example.test', 200],
      ['example.test', 404],
      ['a.b.example.test', 404],
      ['.example.test', 400],
    ] as const) {
      assert.match(
        await edge.exchange(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`),
        new RegExp(`^HTTP/1.1 ${status} `),
        name,
      )
    }
  })
  it('A11: a target in absolute form wins over Host', async () => {
    await start()
    assert.match(
      await edge.exchange('GET http://app.example.test/a?b HTTP/1.1\r\nHost: other.example.test\r\n\r\n'),
      /^HTTP\/1.1 200 /,
    )
    assert.match(edge.app.text, /^GET \/a\?b HTTP\/1.1\r\nhost: app\.example\.test\r\n/)
  })

  for (const path of [
    '/a//b?u=http://x//y',
    '//evil.example.test/x',
    '/a/%2F/b',
    '/a/%2e%2e/b',
    '/a/../b',
    '/x?a=b?c',
    '/x?',
    '/%',
  ]) {
    it(`A16: the target ${path} arrives byte for byte`, async () => {
      await start()
      await edge.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`)
      assert.equal(edge.app.text.slice(0, edge.app.text.indexOf('\r\n')), `GET ${path} HTTP/1.1`)
    })
  }
  it('A16: an Upgrade to anything but WebSocket is plain HTTP', async () => {
    await start()
    const answer = await edge.exchange(
      `GET /a HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    )
    assert.match(answer, /^HTTP\/1.1 200 /)
    assert.doesNotMatch(edge.app.text, /upgrade|http2-settings/i)
  })
  it('A16: HEAD and 304 with Content-Length have no body and do not hang', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n'))
        socket.write(
          `HTTP/1.1 ${/^HEAD/.test(received) ? '200 OK' : '304 Not Modified'}\r\nContent-Length: 5\r\n\r\n`,
        )
    })
    for (const method of ['HEAD', 'GET']) {
      const client = edge.client()
      client.send(`${method} / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
      await client.ended()
      assert.match(client.text, /^HTTP\/1.1 (200|304) [\s\S]*\r\nContent-Length: 5\r\n[\s\S]*\r\n\r\n$/)
    }
  })
  it('A16: an HTTP/1.0 client gets a chunked answer without chunks', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
    })
    const client = edge.client()
    client.send(`GET / HTTP/1.0\r\n${host}\r\n`)
    await client.ended()
    assert.match(client.text, /\r\n\r\nhello$/)
    assert.doesNotMatch(client.text, /chunked/i)
  })
  it('A16: 103 arrives before the answer, and not in HTTP/1.0, which has none', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n'))
        socket.write(
          'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        )
    })
    const early = /^HTTP\/1.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1.1 200 OK\r\n/
    assert.match(await edge.exchange(`GET / HTTP/1.1\r\n${host}\r\n`), early)
    assert.match(await edge.exchange(`GET / HTTP/1.0\r\n${host}\r\n`), /^HTTP\/1.1 200 OK\r\n/)
  })
  it('A16: fields of 17 kB get 431, fields that never end get 408, and both close', async () => {
    await start(answerOk, { headersTimeoutMs: 200 })
    assert.match(
      await edge.exchange(`GET / HTTP/1.1\r\n${host}X-Big: ${'x'.repeat(15_000)}\r\n\r\n`),
      /^HTTP\/1.1 200 /,
    )
    for (const [bytes, status] of [
      [`GET / HTTP/1.1\r\n${host}X-Big: ${'x'.repeat(17_000)}\r\n\r\n`, 431],
      [`GET / HTTP/1.1\r\n${host}`, 408],
    ] as const) {
      const client = edge.client()
      client.send(bytes)
      await client.ended()
      assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
    }
  })

  for (const [what, bytes] of [
    ['a body that is too short', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n1234567'],
    [
      'a body that is too short, on a closing connection',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n1234567',
    ],
    ['chunks that end early', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    [
      'chunks that end early, on a closing connection',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    ],
    ['fields alone', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['fields alone that promise a body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n'],
  ] as const) {
    it(`A6: an app that dies after ${what} ends the client's connection without a final chunk`, async () => {
      await start((received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write(bytes, () => socket.end())
      })
      const client = edge.client()
      client.send(`GET / HTTP/1.1\r\n${host}\r\n`)
      await client.ended()
      assert.match(client.text, /^HTTP\/1.1 200 /)
      assert.doesNotMatch(client.text, /0\r\n\r\n$|html/)
    })
    it(`A6: an app that is killed after ${what} ends the client's connection without a final chunk`, async () => {
      await start((received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write(bytes)
      })
      const client = edge.client()
      client.send(`GET / HTTP/1.1\r\n${host}\r\n`)
      // A reset throws away what the edge has not read yet, so it comes once the client has the answer.
      await client.received(/\r\n\r\n/)
      edge.app.connections[0]?.socket.resetAndDestroy()
      await client.ended()
      assert.match(client.text, /^HTTP\/1.1 200 /)
      assert.doesNotMatch(client.text, /0\r\n\r\n$|html/)
    })
  }
  for (const end of ['end', 'resetAndDestroy'] as const)
    it(`A6: an app that dies in its status line gets the client a 502 (${end})`, async () => {
      await start((received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write('H', () => socket[end]())
      })
      assert.match(await edge.exchange(`GET / HTTP/1.1\r\n${host}\r\n`), /^HTTP\/1.1 502 /)
    })

  it('A5: when the client goes away, the request to the app ends', async () => {
    await start(() => undefined)
    const client = edge.client()
    client.send(`GET /slow HTTP/1.1\r\n${host}\r\n`)
    await eventually('the app has it', () => edge.app.connections[0])
    client.socket.destroy()
    await eventually(
      'the connection to the app is closed',
      () => (edge.app.connections[0]?.socket.destroyed ? true : undefined),
      2_000,
    )
    assert.deepEqual(edge.table.inFlight(), {})
  })
  it('A5: when the client closes its connection in the ordinary way, the request to the app ends', async () => {
    await start(() => undefined)
    const client = edge.client()
    client.send(`GET /slow HTTP/1.1\r\n${host}\r\n`)
    const app = await eventually('the app has it', () => edge.app.connections[0])
    // What close(2) does: a FIN, and a reset for whatever comes after it.
    client.socket.once('data', () => client.socket.resetAndDestroy())
    client.socket.end()
    await eventually(
      'the connection to the app is closed',
      () => (app.socket.destroyed ? true : undefined),
      2_000,
    )
  })
  it('A5: a large download whose client left in the middle ends at the app', async () => {
    const gibibyte = 1024 ** 3
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024))) {}
      }
      socket.on('drain', more)
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${gibibyte}\r\n\r\n`)
      more()
    })
    const client = edge.client()
    client.send(`GET /download HTTP/1.1\r\n${host}\r\n`)
    await eventually('the download is under way', () => client.socket.bytesRead > 1024 * 1024 || undefined)
    client.socket.destroy()
    await eventually(
      'the connection to the app is closed',
      () => edge.app.connections[0]?.socket.destroyed || undefined,
      2_000,
    )
    assert.deepEqual(edge.table.inFlight(), {})
  })
  it('A5: an event stream whose client left ends at the app', async () => {
    await start((_, socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
    )
    const client = edge.client()
    client.send(`GET /events HTTP/1.1\r\n${host}\r\n`)
    await client.received(/data: 1/)
    client.socket.destroy()
    await eventually(
      'the connection to the app is closed',
      () => (edge.app.connections[0]?.socket.destroyed ? true : undefined),
      3_000,
    )
  })
  it('A5: a half-close alone does not lose the answer', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n'))
        setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 1_500)
    })
    const client = edge.client()
    client.socket.end(`GET / HTTP/1.1\r\n${host}\r\n`)
    await client.received(/ok$/)
    assert.match(client.text, /HTTP\/1.1 200 [\s\S]*ok$/)
  })

  it('A13: silence gets 504, a refused connection and a bad answer 502, no upstream 503 with Retry-After', async () => {
    await start(
      (received, socket) => {
        if (received.startsWith('GET /bad')) socket.write('SSH-2.0-x\r\n\r\n')
      },
      { firstByteTimeoutMs: 100 },
    )
    const get = (path: string) => edge.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`)
    assert.match(await get('/silent'), /^HTTP\/1.1 504 /)
    assert.match(await get('/bad'), /^HTTP\/1.1 502 /)
    edge.route({ upstreams: [{ replica: 'gone', address: '127.0.0.1', port: 1, weight: 1 }] })
    assert.match(await get('/'), /^HTTP\/1.1 502 /)
    edge.route({ upstreams: [] })
    assert.match(await get('/'), /^HTTP\/1.1 503 [\s\S]*\r\nretry-after: \d+\r\n/i)
  })
  it('A13: each event of a stream arrives at once, and its fields before the first', async () => {
    let app: Parameters<Reply>[1] | undefined
    await start((_, socket) => {
      app = socket
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    const client = edge.client()
    client.send(`GET / HTTP/1.1\r\n${host}\r\n`)
    await client.received(/event-stream[\s\S]*\r\n\r\n/)
    for (const event of ['one', 'two']) {
      app?.write(`3\r\n${event}\r\n`)
      await client.received(new RegExp(event))
    }
    assert.match(client.text, /one[\s\S]*two/)
    client.socket.destroy()
  })

  const emptyBody = 'Content-Length: 0\r\n\r\n'
  const fiveBytes = 'Content-Length: 5\r\n\r\nhello'
  const inChunks = 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
  for (const [method, what, rest, attempts] of [
    ['GET', '', '\r\n', 2],
    ['PUT', '', emptyBody, 2],
    ['PUT', ' with a body', fiveBytes, 1],
    ['PUT', ' with a body in chunks', inChunks, 1],
    ['POST', '', emptyBody, 1],
    ['POST', ' with a body', fiveBytes, 1],
    ['POST', ' with a body in chunks', inChunks, 1],
  ] as const) {
    for (const [how, leave] of [
      ['resets', (socket: Socket) => socket.resetAndDestroy()],
      ['closes', (socket: Socket) => socket.end()],
    ] as const) {
      it(`A15: a kept connection that the app ${how}: ${method}${what} is sent ${attempts === 1 ? 'once' : 'at most once more'}`, async () => {
        const seen: string[] = []
        await start((received, socket) => {
          const isFirst = /^GET \/first/.test(received) && !/ \/second /.test(received)
          if (isFirst) return void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
          if (socket.writableEnded) return // the rest of a body, after it has left
          seen.push(received)
          if (attempts === 1 || seen.length < attempts) leave(socket)
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
        await edge.exchange(`GET /first HTTP/1.1\r\n${host}\r\n`)
        const answer = await edge.exchange(`${method} /second HTTP/1.1\r\n${host}${rest}`)
        assert.match(answer, attempts === 1 ? /^HTTP\/1.1 502 / : /^HTTP\/1.1 200 /)
        assert.equal(seen.length, attempts)
      })
    }
  }

  it('streams a body both ways with back-pressure', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
      const more = () => {
        while (sent < 1_000) {
          sent += 1
          if (!socket.write(chunk)) return void socket.once('drain', more)
        }
        socket.end()
      }
      more()
    })
    const client = edge.client()
    client.socket.pause()
    client.send(`GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
    let before = -1
    await eventually('the app is made to wait', async () => {
      await new Promise((resolve) => setTimeout(resolve, 200))
      if (sent > 0 && sent === before) return true
      before = sent
      return undefined
    })
    assert.ok(sent < 800, `${sent} chunks of 64 KiB went into memory`)
    let bytes = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', (part) => {
      bytes += part.length
    })
    client.socket.resume()
    await client.ended()
    assert.ok(bytes >= 64 * 1024 * 1_000)
  })

  it('lets held requests go in the order of their arrival', async () => {
    await start()
    edge.holds.hold('a', 10_000)
    const answers = []
    for (let n = 0; n < 5; n += 1) {
      answers.push(edge.exchange(`GET /${n} HTTP/1.1\r\n${host}\r\n`))
      await eventually('it arrived', () => (edge.requests.count === n + 1 ? true : undefined))
    }
    assert.equal(edge.app.connections.length, 0)
    edge.holds.release('a')
    await Promise.all(answers)
    const order = edge.app.connections.map(({ text }) => text.slice(0, 'GET /0'.length))
    assert.deepEqual(order, ['GET /0', 'GET /1', 'GET /2', 'GET /3', 'GET /4'])
  })
  it('forgets a held request whose client leaves', async () => {
    await start()
    edge.holds.hold('a', 10_000)
    const client = edge.client()
    client.send(`GET / HTTP/1.1\r\n${host}\r\n`)
    await eventually('it arrived', () => (edge.requests.count === 1 ? true : undefined))
    client.socket.resetAndDestroy()
    await client.ended()
    assert.match(await edgeAnswersWhileHeld(), /^HTTP\/1.1 404 /)
    edge.holds.release('a')
    assert.equal(edge.app.text, '')
  })

  /** A round trip through the edge, after which it has seen what was sent before. */
  const edgeAnswersWhileHeld = () => edge.exchange('GET / HTTP/1.1\r\nHost: other.example.test\r\n\r\n')
})
