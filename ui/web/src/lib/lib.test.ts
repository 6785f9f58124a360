import { describe, expect, it } from 'vitest'
import { barCount, bars } from './buckets'
import { apiCall, brokerCli, cli, recallHandle } from './cli'
import { age, bytes, compact, count, csv, duration, hue, middle, rate, shorten, thin } from './format'
import { dump } from './hex'
import { guess, identify, near, otherCase } from './ids'
import { fromUrl, resolve, shift, stepFor, toUrl, zoom } from './range'
import { fromPoints, fromRates } from './series'
import { note, rateOf, samplesOf, trendOf } from './totals'
import { matrix } from './subscriptions'
import { clockMicros, parseTime } from './time'
import type { Group, Message, Point, Rate } from '../api/types'

const now = Date.UTC(2026, 10, 24, 14, 3, 2, 120)

describe('format', () => {
  it('counts', () => expect([count(0), count(1204), count(-1234567), count(999)]).toEqual(['0', `1${thin}204`, `\u22121${thin}234${thin}567`, '999']))
  it('durations', () => expect([12, 340_000, 1_240_000, 252e6, 7500e6, 273600e6, 999.6, 59.96e6].map(duration)).toEqual(['12 µs', '340 ms', '1.24 s', '4 min 12 s', '2 h 5 min', '3 d 4 h', '1000 µs', '60 s']))
  it('ages', () => expect([500, 61_000, 700_000].map(age)).toEqual(['< 1 s', '1 min 1 s', '11 min']))
  it('sizes', () => expect([0, 1023, 1229, 1536 * 1024, 5e12].map(bytes)).toEqual(['0 B', `1${thin}023 B`, '1.2 KiB', '1.5 MiB', '4.5 TiB']))
  it('rates', () => expect([0, 0.01, 0.4, 12.5, 1204].map(rate)).toEqual(['0', '< 0.1', '0.4', '12.5', `1${thin}204`]))
  it('compact', () => expect([999, 1500, 2_000_000].map(compact)).toEqual(['999', `1.5${thin}k`, `2${thin}M`]))
  it('cuts the middle and nothing short', () => expect([middle('7F0000011A2B00C3FFFF'), middle('short')]).toEqual(['7F000001…FFFF', 'short']))
  it('csv quotes and disarms formulas', () => expect(csv([['a,b', '=1+1', 'x"y', -5]])).toBe('"a,b",\'=1+1,"x""y",-5\r\n'))
  it('a name has one hue', () => {
    expect(hue('orders')).toBe(hue('orders'))
    for (let i = 0; i < 200; i++) expect(hue('t' + i)).toBeLessThan(12)
  })
})

describe('time', () => {
  it('reads epochs of every unit', () => expect([String(now / 1000), String(now), now + '000', now + '000000'].map((s) => parseTime(s, 'utc', now))).toEqual([now, now, now, now]))
  it('reads ISO, date and clock', () => {
    expect(parseTime('2026-11-24T14:03:02.120Z', 'local', now)).toBe(now)
    expect(parseTime('2026-11-24 14:03:02.12', 'utc', now)).toBe(now)
    expect(parseTime('14:03', 'utc', now)).toBe(now - 2120)
    expect(parseTime('2026-11-24', 'utc', now)).toBe(Date.UTC(2026, 10, 24))
  })
  it('refuses what is no time', () => expect([parseTime('yesterday', 'utc', now), parseTime('', 'utc', now), parseTime('12', 'utc', now)]).toEqual([undefined, undefined, undefined]))
  it('shows microseconds', () => expect(clockMicros(now * 1000 + 7, 'utc')).toBe('14:03:02.120007'))
})

describe('range', () => {
  it('stays relative in the address', () => expect(toUrl(fromUrl({ last: '1h' })).last).toBe('1h'))
  it('the standard is not written', () => expect(toUrl(fromUrl({}))).toEqual({ last: undefined, from: undefined, to: undefined }))
  it('survives nonsense', () => expect([fromUrl({ last: 'x' }), fromUrl({ from: '9', to: '3' })]).toEqual([{ last: '15m' }, { last: '15m' }]))
  it('steps back and returns to now', () => {
    const back = shift({ last: '15m' }, -1, now)
    expect(resolve(back, now)).toEqual({ from: now - 30 * 60e3, to: now - 15 * 60e3 })
    expect(resolve(shift(back, 1, now), now).to).toBe(now)
    expect(shift({ last: '15m' }, 1, now)).toEqual({ last: '15m' })
  })
  it('zooms', () => expect([zoom({ last: '15m' }, 2, now), zoom({ last: '1m' }, 0.5, now)]).toEqual([{ last: '30m' }, { last: '30s' }]))
  it('steps are whole minutes', () => expect([stepFor(900e3, 240), stepFor(86400e3, 240)]).toEqual([60e3, 600e3]))
})

describe('search box', () => {
  const names = { topics: ['orders', 'orders-eu'], groups: ['orders'], clients: ['10.0.0.1@1#2'] }
  it('knows an offset message id', () => expect(identify('0A00000500002A9F00000000713FD300')).toEqual({ kind: 'offsetId', ip: '10.0.0.5', port: 10911, position: 1900008192n }))
  it('knows a client’s id, also of IPv6', () => {
    expect(identify('7F000001126718B4AAC20FC8E1CD0004')).toMatchObject({ kind: 'uniqueId', ip: '127.0.0.1', pid: 0x1267 })
    expect(identify('FE80' + '0'.repeat(27) + '1' + '126718B4AAC20FC8E1CD0004')).toMatchObject({ kind: 'uniqueId', ip: '[fe80:0:0:0:0:0:0:1]' })
  })
  it('knows a gRPC id and its time', () => expect(identify('01' + '0242AC110002' + '0001' + '00000E10' + '00000001')).toEqual({ kind: 'grpcId', at: Date.UTC(2021, 0, 1, 1) }))
  it('an order number is a key first', () => expect(guess('order-4711', names)[0]).toEqual({ kind: 'key', name: 'order-4711' }))
  it('names that begin so come before the key, others after', () => {
    expect(guess('orders', names).map((g) => g.kind)).toEqual(['topic', 'group', 'topic', 'key', 'id'])
    expect(guess('eu', names).map((g) => g.kind)).toEqual(['key', 'id', 'topic'])
  })
  it('an ID keeps its letters', () => expect(guess('C0000202040A000000007b9154d023a8', names)[0]).toMatchObject({ kind: 'id', id: 'C0000202040A000000007b9154d023a8', identity: { kind: 'uniqueId', ip: '192.0.2.2' } }))
  it('nothing is nothing', () => expect(guess('  ', names)).toEqual([]))
})

describe('series', () => {
  const p = (at: number): Point => ({ at, in: 1, out: 2, bytesIn: 3, bytesOut: 4, lag: 5 })
  it('joins history and ticks once, breaks at a hole', () => {
    const s = fromPoints([p(1000), p(2000)], [p(2000), p(3000), p(60_000)], 0, 99_000)
    expect(s.x).toEqual([1000, 2000, 3000, 3001, 60_000])
    expect(s.lines.in).toEqual([1, 1, 1, null, 1])
  })
  const r = (atMicros: number, topic: string, count: number): Rate => ({ atMicros, topic, group: '', step: 'store', count, bytes: 10, p50Micros: 1, p99Micros: count })
  it('sums rates and keeps the worst latency', () => {
    const s = fromRates([r(60e6, 'a', 60), r(60e6, 'b', 120)], 0, 180e3, 60e3)
    expect(s.lines.store).toEqual([0, 3, 0])
    expect(s.lines.storeP99).toEqual([null, 120, null])
  })
})

describe('histogram', () => {
  it('puts what the server counted where it belongs', () => {
    const range = { from: 0, to: 600 }
    const given = [{ atMicros: 0, count: 2 }, { atMicros: 100, count: 1 }, { atMicros: 500, count: 4 }]
    expect(barCount(range, given, 120)).toBe(6)
    expect(bars(range, given, [], 6).map((b) => b.count)).toEqual([2, 1, 0, 0, 0, 4])
  })
  it('counts the rows while the server has not', () => expect(bars({ from: 0, to: 100 }, undefined, [{ appendedMicros: 99 } as Message], 2)[1].count).toBe(1))
})

it('hex dump', () => expect(dump('48656c6c6f0a')).toBe('00000000  48 65 6c 6c 6f 0a                                 Hello·'))

it('copies as command lines', () => {
  expect(apiCall('/api/v1/messages?key=a', 'http://x:8080')).toBe(`curl -sS 'http://x:8080/api/v1/messages?key=a'`)
  expect(cli(['message', 'search'], { key: "it's", topic: undefined }, 'http://x')).toBe(`contrail message search --key 'it'\\''s' --server http://x`)
})

it('marks the member that subscribes otherwise', () => {
  const member = (clientId: string, expression: string) => ({ clientId, subscriptions: [{ topic: 'orders', type: 'TAG', expression, version: 1 }] })
  const m = matrix({ members: [member('a', 'x'), member('b', 'x'), member('c', 'y')] } as Group)
  expect(m.rows[0].cells.map((c) => c.differs)).toEqual([false, false, true])
})

describe('rates of counters', () => {
  it('needs two polls, and begins again when a broker does', () => {
    note('t', 1000, [['a', 10]])
    expect(rateOf(samplesOf('t', 'a'))).toBeUndefined()
    note('t', 6000, [['a', 60]])
    note('t', 6000, [['a', 60]])
    expect([rateOf(samplesOf('t', 'a')), trendOf(samplesOf('t', 'a'))]).toEqual([10, [10]])
    note('t', 11_000, [['a', 5]])
    expect(samplesOf('t', 'a')).toEqual([{ at: 11_000, total: 5 }])
  })
})

describe('names and ids', () => {
  it('keeps both ends of a long name', () => {
    expect(shorten('short', 24)).toBe('short')
    expect(shorten('a'.repeat(100) + 'end', 24)).toMatch(/^a+…a*end$/)
    expect(shorten('x'.repeat(127), 48)).toHaveLength(48)
  })
  it('tries the other case of an id, and of nothing else', () => {
    const id = '7F0000012A9F18B4AAC25C1E3D2F00C3'
    expect([otherCase(id), otherCase(id.toLowerCase()), otherCase('order-1')]).toEqual([id.toLowerCase(), id, undefined])
  })
  it('offers names near a mistyped one, or none', () => {
    expect(near('order', ['orders', 'payments'])).toEqual(['orders'])
    expect(near('Ordets', ['orders', 'payments'])).toEqual(['orders'])
    expect(near('zzz', ['orders', 'payments'])).toEqual([])
  })
})

describe('commands that ask a broker', () => {
  it('a recall handle is as the broker makes it', () => expect(recallHandle('orders', 'broker-a', 1_795_000_000_123_000, 'IDü??>')).toBe('djEgb3JkZXJzIGJyb2tlci1hIDE3OTUwMDAwMDAxMjMgSUTDvD8_Pg=='))
  it('names the broker', () => expect(brokerCli(['dlq', 'resend', 'my group', '3'], '127.0.0.1:10911')).toBe("contrail dlq resend 'my group' 3 --broker 127.0.0.1:10911"))
})
