// What the tests share: a browser, a page that remembers its errors and requests, screenshots, axe.
import { readFileSync } from 'node:fs'
import { connect } from 'node:http2'
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

const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)])
const field = (n, body) => [(n << 3) | 2, ...varint(body.length), ...body]
const text = (n, s) => field(n, [...Buffer.from(s)])

/** A RocketMQ 5 push consumer as far as it tells its settings, over HTTP/2 without TLS; it stays until it is closed. */
export async function grpcConsumer(address, id, group, topic) {
  const subscription = [...field(1, text(2, group)), ...field(2, field(1, text(2, topic)))]
  const settings = [8, 2, ...field(4, [8, 3]), ...field(6, subscription), ...field(7, [8, 4, ...text(2, '5.1.4'), ...text(3, 'linux'), ...text(4, 'shop-7')])]
  const message = field(2, settings)
  const session = connect('http://' + address)
  session.on('error', () => {})
  const stream = session.request({ ':method': 'POST', ':path': '/apache.rocketmq.v2.MessagingService/Telemetry', 'content-type': 'application/grpc', te: 'trailers', 'x-mq-client-id': id, 'x-mq-language': 'GO', 'x-mq-client-version': '5.1.4' })
  const length = Buffer.alloc(5)
  length.writeUInt32BE(message.length, 1)
  stream.write(Buffer.concat([length, Buffer.from(message)]))
  await new Promise((resolve, reject) => stream.once('data', resolve).once('error', reject).once('end', () => reject(new Error('the telemetry stream ended'))))
  return { close: () => session.destroy() }
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
