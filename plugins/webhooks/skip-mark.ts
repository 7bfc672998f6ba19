const mark = /\[(?:skip ci|ci skip|skip cd|cd skip|skip deploy|no deploy)\]/i

/**
 * The mark by which the head commit of a push asks not to be deployed: in the first line of its message, or alone on a
 * line. Not anywhere: the message of a squash merge repeats the messages of commits that were marked long before.
 */
export function skipMark(message: string | undefined): string | undefined {
  const [title = '', ...rest] = (message ?? '').split('\n')
  const alone = rest.find((line) => line.trim().replace(mark, '') === '' && mark.test(line))
  return (mark.exec(title) ?? mark.exec(alone ?? ''))?.[0]
}
