import { expect, it } from 'vitest'
import { en } from './en'
import { zh } from './zh'

type Tree = { [k: string]: unknown }

function leaves(tree: Tree, at = ''): [string, unknown][] {
  return Object.entries(tree).flatMap(([k, v]) => (v && typeof v === 'object' ? leaves(v as Tree, `${at}${k}.`) : [[at + k, v] as [string, unknown]]))
}

const same = ['Java', 'Go', 'UTC', 'Key', 'Tag', 'org.apache.rocketmq:rocketmq-client', 'English', '中文']
const theirs = /^(overview\.empty|palette\.|life\.state\.|problem\.|bar\.utc)/

it('both languages have the same keys', () => expect(leaves(zh).map(([k]) => k).sort()).toEqual(leaves(en).map(([k]) => k).sort()))

it('no Chinese text is left in English', () => {
  const left = leaves(zh).filter(([k, v]) => typeof v === 'string' && !/[\u4e00-\u9fff]/.test(v) && !same.includes(v) && !theirs.test(k))
  expect(left.map(([k]) => k)).toEqual(['overview.broker', 'topics.broker', 'groups.types.CONSUME_ACTIVELY', 'groups.types.CONSUME_PASSIVELY', 'groups.types.CONSUME_POP', 'groups.broker', 'life.traceId', 'life.lanes.broker', 'life.source.broker'])
})
