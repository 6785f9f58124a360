// The address is the state: all that a person would share is in it, as plain text parameters.
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { fromUrl, resolve, toUrl, type Range } from '../lib/range'
import { now } from './live'

export type UrlParams = Record<string, string | undefined>

export function parse(text: string): UrlParams {
  return Object.fromEntries(new URLSearchParams(text))
}

export function print(params: UrlParams): string {
  const q = new URLSearchParams()
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') q.set(k, String(v))
  const s = q.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%2C', ',')
  return s ? '?' + s : ''
}

export type SetUrl = (patch: UrlParams, replace?: boolean) => void

export function useUrl(): [UrlParams, SetUrl] {
  const params = useSearch({ strict: false }) as UrlParams
  const navigate = useNavigate()
  const set = useCallback<SetUrl>(
    (patch, replace = true) => {
      void navigate({ to: '.', search: ((old: UrlParams) => ({ ...old, ...patch })) as never, replace, resetScroll: false })
    },
    [navigate],
  )
  return [params, set]
}

/** What goes along from page to page: the time range. */
export const carried = (p: UrlParams): UrlParams => ({ last: p.last, from: p.from, to: p.to })

export function useRange() {
  const [params, set] = useUrl()
  const { last, from, to } = params
  const range = useMemo(() => fromUrl({ last, from, to }), [last, from, to])
  const setRange = useCallback((r: Range) => set(toUrl(r), false), [set])
  return { range, setRange, resolved: () => resolve(range, now()) }
}

/** This page's address with the range as it is at this moment. */
export function fixedLink(range: Range): string {
  const url = new URL(location.href)
  url.searchParams.delete('last')
  const { from, to } = resolve(range, now())
  url.searchParams.set('from', String(Math.round(from)))
  url.searchParams.set('to', String(Math.round(to)))
  return url.toString()
}
