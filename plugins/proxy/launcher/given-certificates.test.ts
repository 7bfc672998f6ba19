import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { certificatesText } from './certificates-text.ts'
import { GivenCertificates } from './given-certificates.ts'
import type { EdgeCommand, WholeTable } from './protocol.ts'

function whole(generation: number, text: string): WholeTable {
  const certificates = certificatesText(text)
  return { table: { epoch: 1, generation, text: '', certificates: certificates.revision }, certificates }
}
const serve = (table?: WholeTable): EdgeCommand => ({
  do: 'serve',
  table,
  holds: [],
  taps: [],
  ticketSecret: '',
})
const apply = (generation: number, text: string): EdgeCommand => ({ do: 'apply', ...whole(generation, text) })

describe('certificates on their way to an edge', () => {
  const goesWith = (given: GivenCertificates, ...commands: EdgeCommand[]) =>
    commands.map((command) => {
      const sent = given.leftOutOf(command)
      assert.equal(sent.do, command.do)
      return 'certificates' in sent && sent.certificates !== undefined
    })

  it('go once, with the first table that needs them', () => {
    const commands = [apply(1, 'a'), apply(2, 'a'), apply(3, 'b'), apply(4, 'b'), apply(5, 'a')]
    assert.deepEqual(goesWith(new GivenCertificates(), ...commands), [true, false, true, false, true])
  })

  it('are there from the start where there is a table from the start', () => {
    const given = new GivenCertificates()
    assert.equal(given.leftOutOf(serve(whole(1, 'a'))).do, 'serve')
    assert.deepEqual(goesWith(given, apply(2, 'a'), apply(3, 'b')), [false, true])
    given.leftOutOf(serve())
    assert.deepEqual(goesWith(given, apply(4, 'b')), [true])
  })

  it('go again when a command has failed', () => {
    const given = new GivenCertificates()
    assert.deepEqual(goesWith(given, apply(1, 'a'), apply(2, 'a')), [true, false])
    given.forget()
    assert.deepEqual(goesWith(given, apply(3, 'a'), apply(4, 'a')), [true, false])
  })

  it('have to do with no other command', () => {
    const given = new GivenCertificates()
    const ping: EdgeCommand = { do: 'ping' }
    assert.equal(given.leftOutOf(ping), ping)
    assert.deepEqual(goesWith(given, apply(1, 'a')), [true])
  })
})
