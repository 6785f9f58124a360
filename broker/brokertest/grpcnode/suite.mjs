// The unmodified Node.js client of RocketMQ 5: suite.mjs ENDPOINT PREFIX. Topics PREFIXnormal, PREFIXfifo, PREFIXdelay and PREFIXtxn of these types must exist, and
// groups PREFIXg-fifo, which consumes in order, and PREFIXg-push, with two retries after 1 and 2 s. Exit code 0 says that all checks held.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

const { Producer, SimpleConsumer, PushConsumer, ConsumeResult} = createRequire(import.meta.url)('rocketmq-client-nodejs')
const [endpoints, prefix] = process.argv.slice(2)
const base = { endpoints, namespace: '' }
const COMMIT = 1 // TransactionResolution, which the package does not export
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

async function await_(what, done) {
  for (const end = Date.now() + 90_000; !(await done()); await sleep(20)) assert(Date.now() < end, `not within 90 s: ${what}`)
}

async function using(client, run) {
  await client.startup()
  try {
    return await run(client)
  } finally {
    await client.shutdown()
  }
}

const producer = (topic, more, run) => using(new Producer({ ...base, topic, ...more }), run)
const simple = (group, topic, filter, run) => using(new SimpleConsumer({ ...base, consumerGroup: prefix + group, subscriptions: new Map([[topic, filter]]), awaitDuration: 5000 }), run)
const message = (topic, body, more = {}) => ({ topic, keys: [`key-${body}`], body: Buffer.from(body), ...more })
const bodies = (list) => list.map((m) => m.body.toString()).sort()

/** Takes what comes, until there are n messages, without acknowledging. */
async function receive(consumer, n, invisible) {
  const got = []
  await await_(`${n} messages`, async () => {
    got.push(...(await consumer.receive(32, invisible)))
    return got.length >= n
  })
  return got
}

async function normal() {
  const topic = `${prefix}normal`
  await producer(topic, {}, (p) =>
    simple('n-all', topic, 'n-tag', async (c) => {
      const want = []
      for (let i = 0; i < 6; i++) {
        const r = await p.send(message(topic, `m${i}`, { tag: 'n-tag', properties: new Map([['n', `${i}`]]) }))
        assert.equal(r.messageId, r.transactionId)
        want.push(`m${i}`)
      }
      const began = Date.now()
      const got = await receive(c, 6, 10_000)
      assert.deepEqual(bodies(got), want)
      for (const m of got) {
        assert.equal(m.properties.get('n'), m.body.toString().slice(1))
        assert.equal(m.deliveryAttempt, 1)
        assert.deepEqual(m.keys, [`key-${m.body}`])
        assert(m.transportDeliveryTimestamp, 'no delivery timestamp')
      }
      for (const m of got.slice(0, 3)) await c.ack(m)
      await c.changeInvisibleDuration(got[3], 10_000)
      const again = await receive(c, 3, 15_000)
      assert(Date.now() - began >= 10_000, 'it came again too soon')
      assert.deepEqual(bodies(again), bodies(got.slice(3)))
      for (const m of again) {
        assert.equal(m.deliveryAttempt, 2)
        await c.ack(m)
      }
    }))
}

async function fifo() {
  const topic = `${prefix}fifo`
  await producer(topic, {}, async (p) => {
    for (let i = 0; i < 10; i++) await p.send(message(topic, `n${i}`, { messageGroup: 'n-group' }))
  })
  const seen = []
  const c = new PushConsumer({ ...base, consumerGroup: `${prefix}g-fifo`, subscriptions: new Map([[topic, '*']]), messageListener: { consume: async (m) => (seen.push(m), ConsumeResult.SUCCESS) } })
  await using(c, () => await_('10 in order', () => seen.length >= 10))
  assert.deepEqual(seen.map((m) => m.body.toString()), Array.from({ length: 10 }, (_, i) => `n${i}`))
  assert(seen.every((m) => m.properties.get('__SHARDINGKEY') === 'n-group' && m.messageGroup === 'n-group'))
}

async function delays() {
  const topic = `${prefix}delay`
  await producer(topic, {}, (p) =>
    simple('n-delay', topic, '*', async (c) => {
      const due = Date.now() + 3000
      await p.send(message(topic, 'late', { deliveryTimestamp: new Date(due) }))
      const r = await p.send(message(topic, 'recalled', { deliveryTimestamp: new Date(due) }))
      assert.equal((await p.recallMessage(topic, r.recallHandle)).messageId, r.messageId)
      const got = await receive(c, 1, 15_000)
      assert(Date.now() >= due, 'it came early')
      assert.deepEqual(bodies(got), ['late'])
      await c.ack(got[0])
      assert.equal((await c.receive(1, 15_000)).length, 0)
    }))
}

async function transactions() {
  const topic = `${prefix}txn`
  const asked = []
  const checker = { check: async (m) => (asked.push(m.body.toString()), COMMIT) }
  await producer(topic, { checker }, (p) =>
    simple('n-txn', topic, '*', async (c) => {
      for (const body of ['commit', 'rollback', 'orphan']) {
        const tx = p.beginTransaction()
        const r = await p.send(message(topic, body), tx)
        if (body === 'commit') await tx.commit()
        if (body === 'rollback') await tx.rollback()
        assert(r.transactionId)
      }
      const got = await receive(c, 2, 60_000)
      assert.deepEqual(bodies(got), ['commit', 'orphan'])
      assert(got.every((m) => m.properties.get('__transactionId__')))
      for (const m of got) await c.ack(m)
      assert.deepEqual(asked, ['orphan'])
    }))
}

async function push() {
  const topic = `${prefix}normal`
  const attempts = {}
  const consume = async (m) => {
    const body = m.body.toString()
    ;(attempts[body] ??= []).push(m.deliveryAttempt)
    return body === 'poison' || (body === 'once' && attempts[body].length === 1) ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
  }
  const c = new PushConsumer({ ...base, consumerGroup: `${prefix}g-push`, subscriptions: new Map([[topic, 'n-push']]), messageListener: { consume } })
  await using(c, () =>
    producer(topic, {}, async (p) => {
      for (const body of ['good', 'once', 'poison']) await p.send(message(topic, body, { tag: 'n-push' }))
      await await_('all attempts', () => attempts.poison?.length >= 3 && attempts.once?.length >= 2 && attempts.good)
    }))
  assert.deepEqual(attempts, { good: [1], once: [1, 2], poison: [1, 2, 3] })
  await simple('n-dead', `%DLQ%${prefix}g-push`, '*', async (letters) => {
    const got = await receive(letters, 1, 15_000)
    assert(bodies(got).includes('poison'))
    for (const m of got) await letters.ack(m)
  })
}

async function unknown() {
  const p = new Producer({ ...base, topic: `${prefix}unknown` })
  await assert.rejects(() => p.startup(), (e) => inspect(e).includes('code: 40402'))
}

for (const run of [normal, fifo, delays, transactions, push, unknown]) await run()
console.log('OK')
process.exit(0)
