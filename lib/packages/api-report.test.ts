import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { apiReport, apiReportFile } from './api-report.ts'

test('the contract of the sdk is what sdk.api.md says', () => {
  assert.equal(
    readFileSync(apiReportFile, 'utf8'),
    apiReport(),
    'the contract has changed: run npm run api-report, and bump API_VERSION as sdk/README.md says',
  )
})
