// What the tests share: a browser, a page that remembers its errors and requests, screenshots, axe.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

export const base = (process.env.BASE_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '')
const shots = process.env.SHOTS
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })

export const api = async (path) => {
  const r = await fetch(base + '/api/v1' + path)
  if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`)
  return r.json()
}

export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', colorScheme: 'light', bypassCSP: options.axe ?? false, ...options })
  if (options.mock) await context.addCookies([{ name: 'mock', value: options.mock, url: base }])
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const errors = []
  const elsewhere = []
  page.on('console', (m) => m.type() === 'error' && errors.push(m.text()))
  page.on('pageerror', (e) => errors.push(String(e)))
  page.on('dialog', (d) => (errors.push(`dialog: ${d.message()}`), d.dismiss()))
  page.on('request', (r) => !r.url().startsWith(base + '/') && !/^(data|blob):/.test(r.url()) && elsewhere.push(r.url()))
  return { context, page, errors, elsewhere, close: () => context.close() }
}

export async function shot(page, name) {
  if (!shots) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, name + '.png') })
}

/** Serious and critical findings of axe, as lines. */
export async function findings(page) {
  await page.evaluate(axe)
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return result.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary?.split('\n')[1] ?? ''}`).join(' | ')}`)
}
