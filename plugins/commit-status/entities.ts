import { defineEntity, p } from '@rivetr/sdk'

/** What a commit's deployment came to; each git host has its own word for it. */
export const commitStates = ['pending', 'success', 'failure', 'error', 'cancelled'] as const
export type CommitState = (typeof commitStates)[number]

/** The outbox: what a git host is to say of a commit, and what it was told. One row for an app and a commit. */
export const Status = defineEntity({
  name: 'CommitStatus',
  tableName: 'commit_status__statuses',
  uniques: [{ properties: ['app', 'commit'] }],
  properties: {
    /** UUID v7: grows with time, so it is the cursor of lists. */
    id: p.string().primary(),
    app: p.string(),
    commit: p.string(),
    /** The newest deployment of the commit; of older ones nothing is told any more. */
    deployment: p.string(),
    wanted: p.string().$type<CommitState>(),
    description: p.string(),
    /** Grows with every change of what is wanted, so that an answer to an older one settles nothing. */
    revision: p.integer(),
    /** What the git host took last. */
    sent: p.string().$type<CommitState>().nullable(),
    /** ISO 8601 in UTC. */
    sentAt: p.string().nullable(),
    /** Nothing is to be done about it: it was sent, or given up for the reason in `fault`. */
    settled: p.boolean().index(),
    failures: p.integer(),
    fault: p.text().nullable(),
    /** Milliseconds since the epoch. */
    retryAt: p.double().$type<number>().nullable(),
  },
})
