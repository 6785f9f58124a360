// Against a running contrail with traffic (or mock/server.mjs): BASE_URL, SHOTS=folder. TOPIC, KEY and ID name a message
// just sent; without them one is taken from the API.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { api, base, findings, launch, open, shot } from './lib.mjs'

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
  const pages = { overview: '/', messages: '/messages?last=6h', id: '/messages?tab=id', topics: '/topics', groups: '/groups', clients: '/clients', scheduled: '/scheduled', fired: '/scheduled?tab=fired&last=6h', dlq: '/dlq', letters: '/dlq/billing?last=6h' }
  const check = (name, url, options = {}) =>
    it(name, () =>
      withPage({ axe: true, ...options }, async (page) => {
        await page.goto(base + (typeof url === 'function' ? await url() : url))
        await page.locator('main > *').first().waitFor()
        await page.waitForTimeout(1200)
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
  check('life-dark', () => `/messages/${sample.id}`, { colorScheme: 'dark' })
  check('overview-dark-narrow', '/', { colorScheme: 'dark', viewport: { width: 1024, height: 768 } })
})
