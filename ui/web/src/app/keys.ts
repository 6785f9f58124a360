// One listener for the keyboard. The last registered map that knows a key gets it.
import { useEffect, useRef } from 'react'

export type KeyMap = Record<string, (e: KeyboardEvent) => void>

const maps: { current: KeyMap }[] = []
const sequenceTime = 1200
let prefix: { key: string; at: number } | undefined

const typing = (e: KeyboardEvent) => {
  const t = e.target as HTMLElement | null
  return !!t?.closest?.('input, textarea, select, [contenteditable="true"]')
}

function name(e: KeyboardEvent): string {
  const mods = (e.ctrlKey || e.metaKey ? 'mod+' : '') + (e.shiftKey && e.key.length > 1 ? 'shift+' : '')
  const key = mods + e.key
  if (prefix && Date.now() - prefix.at < sequenceTime) return `${prefix.key} ${key}`
  return key
}

function down(e: KeyboardEvent) {
  if (e.altKey || e.defaultPrevented || e.isComposing) return
  const key = name(e)
  const wasPrefix = prefix
  prefix = undefined
  if (typing(e) && !(e.ctrlKey || e.metaKey)) return
  if (key === 'g') {
    prefix = { key: 'g', at: Date.now() }
    return
  }
  if (!dispatch(key, e) && wasPrefix) dispatch(e.key, e)
}

function dispatch(key: string, e: KeyboardEvent): boolean {
  for (let i = maps.length - 1; i >= 0; i--) {
    const fn = maps[i].current[key]
    if (!fn) continue
    const onControl = (e.target as HTMLElement | null)?.closest?.('button, a, [role="tab"], [role="menuitem"], [role="option"]')
    if (onControl && (key === 'Enter' || key === ' ')) return false
    e.preventDefault()
    fn(e)
    return true
  }
  return false
}

if (typeof window !== 'undefined') window.addEventListener('keydown', down)

export function useKeys(map: KeyMap, on = true) {
  const ref = useRef(map)
  useEffect(() => {
    ref.current = map
  })
  useEffect(() => {
    if (!on) return
    maps.push(ref)
    return () => void maps.splice(maps.indexOf(ref), 1)
  }, [on])
}
