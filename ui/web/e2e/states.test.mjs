// States that a healthy broker does not show, against mock/server.mjs: empty, failing, 10 000 rows. It starts the mock itself.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const port = 18090
process.env.BASE_URL = `http://127.0.0.1:${port}`
const { base, findings, launch, open, shot } = await import('./lib.mjs')
let browser
let mock

before(async () => {
  mock = spawn(process.execPath, [fileURLToPath(new URL('../mock/server.mjs', import.meta.url)), '--port', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => mock.stdout.once('data', resolve))
  browser = await launch()
})
after(async () => {
  await browser?.close()
  mock?.kill()
})

async function at(mode, url, act, options = {}) {
  const p = await open(browser, { mock: mode, ...options })
  try {
    await p.page.goto(base + url)
    await act(p.page, p)
    assert.deepEqual(p.elsewhere, [])
    return p.errors
  } finally {
    await p.close()
  }
}

const clean = async (...args) => assert.deepEqual(await at(...args), [])

describe('states', () => {
  it('an empty broker offers snippets with its own address', () =>
    clean('empty', '/', async (page) => {
      await page.locator('[data-test=empty] pre').waitFor()
      assert.match(await page.locator('[data-test=empty] pre').textContent(), /10\.0\.0\.5:9876/)
      await page.getByRole('button', { name: 'Go' }).click()
      assert.match(await page.locator('[data-test=empty] pre').textContent(), /rocketmq-client-go/)
      await shot(page, 'empty')
    }))
  for (const page of ['/topics', '/groups', '/clients', '/messages', '/scheduled', '/dlq', '/dlq/billing', '/transactions']) {
    it(`empty ${page} says so`, () =>
      clean('empty', page, async (p) => {
        await p.locator('.answer').waitFor()
        await shot(p, 'empty-' + page.slice(1).replace('/', '-'))
      }))
    it(`failing ${page} says why, with a request number, and offers to try again`, () =>
      at('error', page, async (p) => {
        await p.locator('.answer[role=alert]').waitFor()
        const text = await p.locator('.answer[role=alert]').textContent()
        assert.match(text, /connection refused/)
        assert.match(text, /r-\d+/)
        await p.getByRole('button', { name: 'Try again' }).waitFor()
        await shot(p, 'error-' + page.slice(1).replace('/', '-'))
      }))
  }
  it('an unknown message, topic, group and page are told apart from failures', async () => {
    for (const [url, words] of [['/messages/7F000001AAAA18B4AAC20000000000FF', 'No message has this ID'], ['/topics/nope', 'There is no topic nope'], ['/groups/nope', 'There is no consumer group nope'], ['/nope', 'No such page']]) {
      await at('demo', url, (page) => page.getByText(words).first().waitFor())
    }
  })
  it('a failed search is not an empty one', () =>
    clean('demo', '/messages?tab=key&key=fail', async (page) => {
      await page.getByText('this is not an empty answer').first().waitFor()
    }))
  it('what the trail cannot know is not “nothing”', () =>
    clean('demo', '/messages?topic=nope&from=1000000000000&to=1000000900000', async (page) => {
      await page.getByText('The trail cannot know').first().waitFor()
    }))
  it('hostile keys, tags, bodies and happenings are text', () =>
    clean('demo', `/messages?tab=key&key=${encodeURIComponent('<script>alert(1)</script>')}&last=24h`, async (page) => {
      await page.locator('.vt-body [role=row]').first().waitFor()
      await page.getByText('javascript:alert(1)').first().waitFor()
      await page.keyboard.press('j')
      await page.keyboard.press('Enter')
      await page.locator('[data-test=waterfall]').waitFor()
      await page.getByRole('tab', { name: 'Body' }).click()
      await page.getByRole('button', { name: 'Show the body' }).click()
      await page.getByText('onerror=alert(1)').waitFor()
      assert.equal(await page.locator('main img, main script').count(), 0)
      await shot(page, 'hostile-body')
    }))
  it('a letter that was resent is left alone unless it is meant, and each outcome is told', () =>
    clean('demo', '/dlq/billing', async (page) => {
      await page.locator('.vt-body [role=row]').first().waitFor()
      for (let i = 0; i < 8; i++) {
        await page.keyboard.press('j')
        await page.keyboard.press('x')
      }
      await page.locator('[data-test=resend-chosen]', { hasText: '8' }).click()
      await page.locator('[data-test=resent-before]').waitFor()
      assert.match(await page.locator('[data-test=resend-go]').textContent(), /7/)
      await page.locator('[data-test=again]').check()
      assert.match(await page.locator('[data-test=resend-go]').textContent(), /8/)
      await page.locator('[data-test=resend-go]').click()
      await page.locator('[data-test=outcomes]').waitFor()
      assert.match(await page.locator('[data-test=dialog]').textContent(), /refused topic\[%RETRY%billing\] not exist/)
      await shot(page, 'resend-outcomes')
    }))
  it('all that match are resent in batches', () =>
    clean('demo', '/dlq/billing?state=open', async (page) => {
      const sizes = []
      page.on('request', (r) => r.method() === 'POST' && sizes.push(JSON.parse(r.postData()).letters.length))
      await page.locator('[data-test=resend-all]').click()
      await page.locator('[data-test=resend-go]').click()
      await page.locator('[data-test=outcomes]').waitFor()
      assert.ok(sizes.length > 1 && Math.max(...sizes) <= 100, String(sizes))
    }))
  it('a reset is previewed, confirmed by the name, and told queue by queue', () =>
    clean('demo', '/groups/shipping', async (page) => {
      await page.locator('[data-test=heads]').waitFor()
      await shot(page, 'blocked')
      await page.locator('[data-test=reset]').click()
      await page.locator('[data-test=reset-to-latest]').check()
      await page.locator('[data-test=reset-preview]').click()
      await page.locator('[data-test=reset-places]').waitFor()
      assert.ok(await page.locator('[data-test=reset-go]').isDisabled())
      await page.locator('[data-test=type-name]').fill('shipping')
      await page.locator('[data-test=reset-go]').click()
      await page.locator('[data-test=reset-outcome]').waitFor()
      assert.match(await page.locator('[data-test=dialog]').textContent(), /not in consume queue range \[5-9\]/)
      await shot(page, 'reset-outcome')
    }))
  it('a read-only console says why its buttons are off, and sends nothing', () =>
    clean('readonly', '/dlq/billing', async (page) => {
      let sent = 0
      page.on('request', (r) => r.method() === 'POST' && sent++)
      const button = page.locator('[data-test=resend-all]')
      await button.waitFor()
      await page.locator('[data-test=resend-all][title*="console.actions is false"]').waitFor() // it is off before it is known why
      assert.equal(await button.getAttribute('aria-disabled'), 'true')
      await button.click({ force: true }) // it can be reached, and says why
      await page.locator('.toast', { hasText: 'console.actions is false' }).waitFor()
      assert.equal(await page.locator('[data-test=dialog]').count(), 0)
      assert.equal(sent, 0)
      await shot(page, 'read-only')
    }))
  it('what a client says of itself is text', () =>
    clean('demo', '/clients?role=consumers', async (page) => {
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 100, y: 10 } })
      await page.locator('[data-test=running]').click()
      await page.locator('[data-test=stacks]').check()
      await page.locator('[data-test=running-go]').click()
      await page.getByText('STATE: WAITING').waitFor()
      await shot(page, 'running')
    }))
  it('a gRPC client is shown with the settings it was given, also in a narrow window', () =>
    clean('demo', '/clients?q=%23fraud', async (page) => {
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 100, y: 10 } })
      await page.locator('[data-test=settings] [data-test=attempts]', { hasText: /^17$/ }).waitFor()
      await page.locator('[data-test=settings]', { hasText: '10 s · 30 s · 1 min' }).waitFor()
      await shot(page, 'client-settings')
      await page.setViewportSize({ width: 390, height: 844 })
      await page.waitForTimeout(300)
      const beyond = await page.locator('aside.panel').evaluate((p) => [...p.querySelectorAll('.in dd, .in td, .in h2')].filter((e) => e.getBoundingClientRect().right > innerWidth || e.getBoundingClientRect().left < 0 || e.scrollWidth > e.clientWidth + 1).length)
      assert.equal(beyond, 0, 'nothing is cut')
      await shot(page, 'client-settings-narrow')
      await page.goto(base + '/clients?role=producers&q=4713')
      await page.locator('.vt-body [role=row]').first().click({ position: { x: 60, y: 10 } })
      await page.locator('[data-test=settings]', { hasText: '10 ms, then × 2 each time, 1 s at most' }).waitFor()
    }))
  it('of 10 000 rows only those in sight are drawn', async () => {
    for (const url of ['/topics?sort=name.asc', '/groups', '/clients', '/messages']) {
      await clean('many', url, async (page) => {
        await page.locator('.vt-body [role=row]').first().waitFor()
        const { frames, slow } = await page.evaluate(scroll)
        console.log(`${url}: ${frames} frames while scrolling, slowest ${Math.round(slow)} ms`)
        assert.ok((await page.locator('.vt-body [role=row]').count()) < 120, 'only what is seen is drawn')
        if (process.env.PERF) assert.ok(frames > 100 && slow < 100, `${frames} frames of 120, one took ${slow} ms`) // means something on an idle machine only
        await shot(page, 'many-' + url.slice(1).split('?')[0])
      })
    }
  })
  it('axe finds nothing serious in empty and failing pages', async () => {
    for (const mode of ['empty', 'error']) {
      for (const url of ['/', '/messages', '/topics']) {
        await at(mode, url, async (page) => {
          await page.locator('.answer').first().waitFor()
          assert.deepEqual(await findings(page), [], mode + url)
        }, { axe: true })
      }
    }
  })
})

function scroll() {
  return new Promise((resolve) => {
    const box = document.querySelector('.vt')
    let frames = 0
    let slow = 0
    let last = performance.now()
    const start = last
    const step = (now) => {
      frames++
      slow = Math.max(slow, now - last)
      last = now
      box.scrollTop += 400
      if (now - start < 2000) requestAnimationFrame(step)
      else resolve({ frames, slow })
    }
    requestAnimationFrame(step)
  })
}
