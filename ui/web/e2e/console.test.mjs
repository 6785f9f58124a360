// Against a running contrail with traffic (or mock/server.mjs): BASE_URL, SHOTS=folder, GRPC=host:port of its gRPC clients. TOPIC, KEY and ID name a message
// just sent; without them one is taken from the API.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { api, base, findings, grpcConsumer, launch, open, shot } from './lib.mjs'

const hostile = ['<script>', 'javascript:']
let browser
let sample

async function anySample() {
  const from = (Date.now() - 24 * 3600e3) * 1000
  for (let i = 0; i < 20; i++) {
    const { messages } = await api(`/messages?from=${from}&to=${(Date.now() + 5000) * 1000}&limit=500`)
    const m = messages.find((x) => x.keys.length > 0 && !/^(RMQ_SYS|%|SCHEDULE)/.test(x.topic))
    if (m) return { topic: m.topic, key: m.keys[0], id: m.id }
    await new Promise((r) => setTimeout(r, 500))
  }
  throw new Error('no message with a key within 24 h: the tests need traffic')
}

before(async () => {
  browser = await launch()
  sample = process.env.KEY ? { topic: process.env.TOPIC, key: process.env.KEY, id: process.env.ID } : await anySample()
})
after(() => browser?.close())

/** Runs with a page; afterwards there must be no error and no request to another origin. */
async function withPage(options, act) {
  const p = await open(browser, options)
  try {
    await act(p.page, p)
    assert.deepEqual(p.errors, [], 'console errors')
    assert.deepEqual(p.elsewhere, [], 'requests to another origin')
  } finally {
    await p.close()
  }
}

/** What f gives once it gives something. */
async function eventually(f, patience) {
  for (const end = Date.now() + patience; ; await new Promise((r) => setTimeout(r, 500))) {
    const got = await f()
    if (got) return got
    if (Date.now() > end) throw new Error(`nothing within ${patience} ms: ${f}`)
  }
}

const life = (id = sample.id) => `${base}/messages/${encodeURIComponent(id)}`

describe('console', () => {
  it('overview tells the state and shows rates', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/')
      await page.locator('[data-test=state]').waitFor()
      await page.locator('[data-test=charts] canvas').first().waitFor()
      assert.match(await page.locator('[data-test=charts] [role=img]').first().getAttribute('aria-label'), /Messages per second: in [\d<]/)
      await page.locator('.dot.live').waitFor()
      await page.locator('[data-test=trail]').waitFor()
      await shot(page, 'overview')
    }))

  it('search finds a message by key within two seconds', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/')
      await page.locator('#find').waitFor()
      await page.keyboard.press('/')
      await page.keyboard.type(sample.key)
      await page.locator('[role=option]').first().waitFor()
      await shot(page, 'search-box')
      const started = Date.now()
      await page.locator('[role=option]', { hasText: 'messages with key' }).first().click()
      await page.locator('.vt-body [role=row]').first().waitFor({ timeout: 2000 })
      assert.ok(Date.now() - started < 2000, `took ${Date.now() - started} ms`)
      assert.ok((await page.locator('.vt-body').textContent()).includes(sample.key))
      await shot(page, 'search-by-key')
    }))

  it('a message ID in the search box opens its life', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/topics')
      await page.locator('#find').waitFor()
      await page.keyboard.press('/')
      await page.keyboard.type(sample.id)
      await page.locator('[role=option]').first().waitFor()
      await page.keyboard.press('Enter')
      await page.waitForURL('**/messages/' + sample.id + '**')
      await page.locator('[data-test=waterfall] svg .item').first().waitFor()
    }))

  it('life shows verdicts, waterfall, steps, records, properties and body', () =>
    withPage({}, async (page) => {
      await page.goto(life())
      await page.locator('[data-test=waterfall] svg .item').first().waitFor()
      const { verdicts } = await api('/messages/' + sample.id)
      const near = verdicts.filter((v) => v.state !== 'not-subscribed')
      for (const v of near.slice(0, 5)) assert.ok((await page.locator('[data-test=verdicts]').textContent()).includes(v.group), v.group)
      await shot(page, 'life')
      if (near.length) {
        await page.locator('.why').first().click()
        await page.locator('.evidence li').first().waitFor()
      }
      await page.keyboard.press('n')
      await page.locator('aside.panel pre').waitFor()
      await shot(page, 'life-step')
      await page.keyboard.press('Escape')
      await page.getByRole('tab', { name: 'Steps' }).click()
      assert.ok((await page.locator('[data-test=steps] tbody tr').count()) >= 3)
      await shot(page, 'life-steps')
      await page.getByRole('tab', { name: 'Records' }).click()
      assert.deepEqual((await page.locator('[data-test=records] th').allTextContents()).slice(0, 4), ['success', 'trace_type', 'timestamp', 'group_name'])
      assert.equal(await page.locator('[data-test=records] th').count(), 20)
      await shot(page, 'life-records')
      await page.getByRole('tab', { name: 'Properties' }).click()
      await page.getByRole('button', { name: 'Show the properties' }).click()
      await page.getByText('UNIQ_KEY').first().waitFor()
      await page.getByRole('tab', { name: 'Body' }).click()
      await page.getByRole('link', { name: 'Download as stored' }).waitFor()
      await shot(page, 'life-body')
    }))

  it('a fresh life page is there soon', () =>
    withPage({}, async (page) => {
      await page.goto(life())
      await page.locator('[data-test=waterfall] svg .item').first().waitFor()
      const ms = await page.evaluate(() => performance.now())
      console.log(`life page with waterfall after ${Math.round(ms)} ms`)
      assert.ok(ms < 6000)
    }))

  it('the keyboard reaches everything', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/')
      await page.locator('[data-test=state]').waitFor()
      await page.keyboard.press('g')
      await page.keyboard.press('m')
      await page.waitForURL('**/messages*')
      await page.keyboard.press('-')
      await page.locator('.vt-body [role=row]').first().waitFor()
      await page.keyboard.press('j')
      await page.keyboard.press('j')
      assert.equal(await page.locator('.vt-body [aria-selected=true]').getAttribute('aria-rowindex'), '3')
      await page.keyboard.press('k')
      await page.keyboard.press(' ')
      await page.locator('aside.panel').waitFor()
      assert.match(page.url(), /sel=/)
      await shot(page, 'messages-preview')
      await page.keyboard.press('Escape')
      await page.locator('aside.panel').waitFor({ state: 'detached' })
      await page.keyboard.press('Enter')
      await page.waitForURL('**/messages/*')
      for (const [key, url] of [['t', '**/topics*'], ['c', '**/groups*'], ['o', base + '/*']]) {
        await page.keyboard.press('g')
        await page.keyboard.press(key)
        await page.waitForURL(url)
      }
      await page.keyboard.press('?')
      await page.getByText('previous / next time window').waitFor()
      await shot(page, 'keys')
      await page.keyboard.press('Escape')
      await page.keyboard.press('Control+k')
      await page.getByPlaceholder('a page, a topic').waitFor()
      await page.keyboard.type('clients')
      await page.keyboard.press('Enter')
      await page.waitForURL('**/clients*')
    }))

  it('the address is the state', () =>
    withPage({}, async (page) => {
      const to = Date.now()
      await page.goto(`${base}/messages?topic=${encodeURIComponent(sample.topic)}&from=${to - 6 * 3600e3}&to=${to}`)
      await page.locator('.vt-body [role=row]').first().waitFor()
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 20, y: 10 } })
      await page.locator('aside.panel').waitFor()
      const seen = await page.locator('aside.panel dd').first().textContent()
      await withPage({}, async (second) => {
        await second.goto(page.url())
        await second.locator('aside.panel').waitFor()
        assert.equal(await second.locator('aside.panel dd').first().textContent(), seen)
        assert.equal(await second.getByLabel('topic', { exact: true }).inputValue(), sample.topic)
      })
      await page.goto(life() + '?tab=steps')
      await page.locator('[data-test=steps]').waitFor()
    }))

  it('a relative range stays relative, a drag makes it absolute', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/messages?last=6h')
      await page.locator('.vt-body [role=row]').first().waitFor()
      assert.match(page.url(), /last=6h/)
      const box = await page.locator('[data-test=histogram] svg').boundingBox()
      await page.mouse.move(box.x + box.width * 0.5, box.y + 20)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * 0.95, box.y + 20, { steps: 5 })
      await page.mouse.up()
      await page.waitForURL(/from=\d+.*to=\d+/)
      assert.doesNotMatch(page.url(), /last=/)
    }))

  it('language, theme and zone switch at once and are remembered', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/')
      await page.locator('[data-test=language]').click()
      await page.getByRole('heading', { name: '总览' }).waitFor()
      await page.locator('[data-test=theme]').click()
      await page.getByRole('menuitem', { name: '深色' }).click()
      await page.locator('html[data-mantine-color-scheme=dark]').waitFor({ state: 'attached' })
      await page.locator('[data-test=zone]').click()
      await page.reload()
      await page.getByRole('heading', { name: '总览' }).waitFor()
      await page.locator('html[data-mantine-color-scheme=dark]').waitFor({ state: 'attached' })
      assert.equal(await page.locator('[data-test=zone]').textContent(), 'UTC')
      await shot(page, 'overview-zh-dark')
      await page.goto(life())
      await page.locator('[data-test=waterfall] svg .item').first().waitFor()
      await shot(page, 'life-zh-dark')
    }))

  it('hostile text is shown as text', () =>
    withPage({}, async (page) => {
      for (const text of hostile) {
        await page.goto(`${base}/messages?tab=key&key=${encodeURIComponent(text + 'alert(1)</script>')}&last=24h`)
        await page.locator('[data-test=summary]').waitFor()
        assert.equal(await page.locator('input[aria-label=key]').inputValue(), text + 'alert(1)</script>')
        await page.goto(`${base}/messages/${encodeURIComponent(text + 'x')}`)
        await page.getByText(text + 'x').first().waitFor()
      }
      assert.equal(await page.locator('main script, main a[href^="javascript:"]').count(), 0)
    }))

  it('nothing found says what was asked', () =>
    withPage({}, async (page) => {
      const to = Date.now()
      await page.goto(`${base}/messages?topic=${encodeURIComponent(sample.topic)}&tag=no-such-tag-at-all&from=${to - 60e3}&to=${to}`)
      await page.locator('.answer').waitFor()
      const text = await page.locator('.answer').textContent()
      assert.match(text, /tag = no-such-tag-at-all/)
      assert.match(text, /scanned|answered in|cannot know/)
      await shot(page, 'messages-nothing')
    }))

  it('a poison message is resent from the page, once, and its story goes on', () =>
    withPage({}, async (page) => {
      const letter = await eventually(async () => (await api('/dead-letters/invoicing?state=open&limit=1')).letters[0], 120_000)
      await page.goto(base + '/dlq')
      await page.getByRole('link', { name: 'invoicing' }).click()
      await page.locator('.vt-body [role=row]', { hasText: letter.keys }).first().click({ position: { x: 300, y: 10 } })
      await page.locator('[data-test=resend-one]').click()
      await page.getByText('1 dead letter goes back to group invoicing').waitFor()
      await shot(page, 'dead')
      await page.locator('[data-test=resend-go]').click()
      await page.locator('[data-test=outcomes]', { hasText: '1 resent' }).waitFor()
      await shot(page, 'dead-outcome')
      await page.getByRole('link', { name: 'show the resent copy' }).click()
      await page.waitForURL('**/messages/' + letter.uniqKey + '**')
      await page.locator('[data-test=verdicts] li', { hasText: 'invoicing' }).filter({ hasText: 'consumed' }).waitFor({ timeout: 60_000 })
      await page.getByRole('tab', { name: 'Copies' }).click()
      await page.locator('[data-test=lineage] tr', { hasText: 'given again to' }).first().waitFor()
      await shot(page, 'resent-lineage')
      await page.goto(`${base}/dlq/invoicing?key=${letter.keys}`)
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 300, y: 10 } })
      await page.getByRole('button', { name: 'Resend again' }).click()
      await page.locator('[data-test=resent-before]').waitFor()
      assert.ok(await page.locator('[data-test=resend-go]').isDisabled(), 'a second resend must be meant')
      await page.keyboard.press('Escape')
      const file = await (await fetch(`${base}/api/v1/dead-letters/invoicing/export?format=csv&key=${letter.keys}`)).text()
      assert.ok(file.split('\r\n')[1].includes(letter.uniqKey), file)
    }))

  it('a transaction is committed in its producer’s place', () =>
    withPage({}, async (page) => {
      const half = await eventually(async () => (await api('/transactions?topic=points')).halves.find((h) => h.nextCheckAt - Date.now() > 20_000), 60_000)
      await page.goto(`${base}/transactions?key=${half.keys}`)
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 300, y: 10 } })
      await shot(page, 'transactions')
      await page.locator('[data-test=commit]').click()
      assert.ok(await page.locator('[data-test=decide-go]').isDisabled(), 'a reason is needed')
      await page.locator('[data-test=reason]').fill('the bank says so')
      await page.locator('[data-test=decide-go]').click()
      await page.locator('[data-test=decided]').waitFor()
      await eventually(async () => (await api('/messages/' + half.uniqKey)).verdicts.some((v) => v.group === 'points' && v.state === 'consumed'), 60_000)
    }))

  it('a scheduled message is cancelled, and a second time it is told so', () =>
    withPage({}, async (page) => {
      const last = await eventually(async () => (await api('/scheduled/next?limit=500')).messages.find((m) => m.dueAt - Date.now() > 15_000), 60_000)
      await page.goto(base + '/scheduled')
      await page.locator('.vt-body [role=row]', { hasText: last.keys }).first().click({ position: { x: 300, y: 10 } })
      await page.locator('[data-test=cancel]').click()
      await page.locator('[data-test=cancel-go]').click()
      await page.locator('[data-test=cancelled]', { hasText: /Cancelled|cancelled before/ }).waitFor() // its customer may have paid meanwhile
      await shot(page, 'cancelled')
      const again = await fetch(base + '/api/v1/scheduled/cancel', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ topic: last.topic, recallHandle: last.recallHandle }) })
      assert.equal((await again.json()).outcome, 'already')
    }))

  it('a group is moved to the place that the preview shows', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/groups/crm')
      await page.locator('[data-test=reset]').click()
      await page.locator('[data-test=reset-to-earliest]').check()
      await page.locator('[data-test=reset-preview]').click()
      await page.locator('[data-test=reset-places]').waitFor()
      await shot(page, 'reset')
      await page.locator('[data-test=type-name]').fill('crm')
      await page.locator('[data-test=reset-go]').click()
      await page.locator('[data-test=reset-outcome]', { hasText: /^(\d+) of \1 queues moved/ }).waitFor()
      const from = (Date.now() - 60_000) * 1000
      await eventually(async () => (await api(`/happenings?from=${from}&limit=500`)).happenings.some((h) => h.kind === 'reset' && h.group === 'crm'), 30_000)
    }))

  it('one client verifies one message, and says what it is doing', () =>
    withPage({}, async (page) => {
      const m = await eventually(async () => {
        const from = (Date.now() - 3600e3) * 1000
        return (await api(`/messages?topic=orders&tag=paid&from=${from}&limit=50`)).messages.find((x) => Number(x.keys[0]?.split('-')[1]) % 20 !== 0 && Number(x.keys[0]?.split('-')[1]) % 100 !== 50)
      }, 60_000)
      await page.goto(life(m.id))
      await page.locator('[data-test=life-verify]').click()
      await page.locator('[data-test=dialog] select').first().selectOption('invoicing')
      await page.locator('[data-test=dialog] select').nth(1).waitFor()
      await page.locator('[data-test=verify-go]').click()
      await page.locator('[data-test=verified]', { hasText: 'CR_SUCCESS' }).waitFor()
      await shot(page, 'verified')
      await page.goto(`${base}/clients?q=invoicing-1`)
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 100, y: 10 } })
      await page.locator('[data-test=running]').first().click()
      await page.locator('[data-test=stacks]').check()
      await page.locator('[data-test=running-go]').click()
      await page.locator('.stack', { hasText: 'goroutine' }).waitFor()
      await shot(page, 'running')
    }))

  it('a gRPC client is shown with the settings that it was given', { skip: !process.env.GRPC }, async () => {
    const client = await grpcConsumer(process.env.GRPC, 'e2e-client@7#1', 'partners', 'orders')
    try {
      await withPage({}, async (page) => {
        await page.goto(`${base}/clients?q=${encodeURIComponent('e2e-client@7#1')}`)
        await page.locator('.vt-body [role=row]', { hasText: 'gRPC' }).first().click({ position: { x: 100, y: 10 } })
        await page.locator('[data-test=settings] [data-test=attempts]', { hasText: /^17$/ }).waitFor()
        for (const told of ['push consumer', 'GOLANG 5.1.4', 'shop-7', '10 s · 30 s · 1 min', 'partners', 'orders']) await page.locator('[data-test=settings]', { hasText: told }).waitFor()
        await shot(page, 'client-settings')
      })
    } finally {
      client.close()
    }
  })

  it('pausing stops the stream', () =>
    withPage({}, async (page) => {
      await page.goto(base + '/')
      await page.locator('.dot.live').waitFor()
      await page.locator('[data-test=live]').click()
      await page.locator('.dot.paused').waitFor()
      await page.waitForTimeout(300)
      let asked = 0
      page.on('request', () => asked++)
      await page.waitForTimeout(6000)
      assert.equal(asked, 0)
    }))
})

describe('axe finds nothing serious', () => {
  const pages = { overview: '/', messages: '/messages?last=6h', id: '/messages?tab=id', topics: '/topics', groups: '/groups', clients: '/clients', scheduled: '/scheduled', fired: '/scheduled?tab=fired&last=6h', dlq: '/dlq', letters: '/dlq/invoicing', transactions: '/transactions', parked: '/transactions?tab=parked&last=6h' }
  const check = (name, url, options = {}) =>
    it(name, () =>
      withPage({ axe: true, ...options }, async (page) => {
        await page.goto(base + (typeof url === 'function' ? await url() : url))
        await page.locator('main > *').first().waitFor()
        await page.waitForTimeout(1200)
        await page.waitForFunction(() => !document.querySelector('main [aria-busy=true]')) // what is still asked for is dimmed
        await shot(page, 'axe-' + name)
        assert.deepEqual(await findings(page), [])
      }),
    )
  for (const [name, url] of Object.entries(pages)) check(name, url)
  check('topic', () => '/topics/' + encodeURIComponent(sample.topic))
  check('topic-messages', () => `/topics/${encodeURIComponent(sample.topic)}?tab=messages`)
  const group = async () => (await api('/groups')).groups.find((g) => !g.system)?.name ?? 'none'
  for (const tab of ['queues', 'members', 'subscriptions']) check('group-' + tab, async () => `/groups/${encodeURIComponent(await group())}?tab=${tab}`)
  for (const tab of ['timeline', 'steps', 'lineage', 'body', 'properties', 'records', 'json']) check('life-' + tab, () => `/messages/${sample.id}?tab=${tab}&show=1`)
  const acts = { resend: ['/dlq/invoicing', 'resend-all', 'resend-go'], reset: ['/groups/crm', 'reset', 'reset-preview'], clone: ['/groups/crm', 'clone', 'clone-go'] }
  for (const [name, [url, button, sees]] of Object.entries(acts)) {
    it('dialog-' + name, () =>
      withPage({ axe: true }, async (page) => {
        await page.goto(base + url)
        await page.locator(`[data-test=${button}]`).click()
        await page.locator(`[data-test=${sees}]`).waitFor()
        await page.waitForTimeout(500)
        await shot(page, 'axe-dialog-' + name)
        assert.deepEqual(await findings(page), [])
      }),
    )
  }
  check('life-dark', () => `/messages/${sample.id}`, { colorScheme: 'dark' })
  check('overview-dark-narrow', '/', { colorScheme: 'dark', viewport: { width: 1024, height: 768 } })
})
