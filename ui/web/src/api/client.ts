// The only place that asks the server. Every failure becomes an ApiError that a page can tell in words.
import type { Problem } from './types'

export const base = '/api/v1'
export type Params = Record<string, string | number | undefined>

export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    readonly asked: string,
  ) {
    super(problem.title)
  }
}

export function path(name: string, params: Params = {}): string {
  const q = new URLSearchParams()
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') q.set(k, String(v))
  const s = q.toString()
  return base + name + (s ? '?' + s : '')
}

const unreachable = (detail: string): Problem => ({ type: 'unreachable', title: '', status: 0, detail, next: '', id: '' })

async function ask(url: string, signal?: AbortSignal, sent?: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, { ...sent, signal })
  } catch (e) {
    if (signal?.aborted) throw e
    throw new ApiError(unreachable(e instanceof Error ? e.message : String(e)), url)
  }
  if (response.ok) return response
  throw new ApiError(await problemOf(response), url)
}

async function problemOf(response: Response): Promise<Problem> {
  const fallback = { ...unreachable(response.statusText), type: '', title: `HTTP ${response.status}`, status: response.status }
  try {
    return { ...fallback, ...((await response.json()) as Problem) }
  } catch {
    return fallback
  }
}

export async function get<T>(name: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return (await (await ask(path(name, params), signal)).json()) as T
}

/** When something was last done here: what seemed to have ended may go on. */
export const acted = { at: 0 }

/** Acts: what is sent is JSON, and what comes back is the outcome. */
export async function post<T>(name: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  try {
    return (await (await ask(base + name, signal, sent)).json()) as T
  } finally {
    acted.at = Date.now()
  }
}

/** Reads newline-delimited JSON as it arrives. */
export async function stream<T>(name: string, params: Params, onLine: (line: T) => void, signal: AbortSignal): Promise<void> {
  const response = await ask(path(name, params), signal)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const lines = (rest + value).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.trim()) onLine(JSON.parse(line) as T)
  }
  if (rest.trim()) onLine(JSON.parse(rest) as T)
}
