// A short word to the person ("copied"), and copying itself.
import { useSyncExternalStore } from 'react'
import { store } from './store'

const said = store<{ text: string }>({ text: '' })
let timer: ReturnType<typeof setTimeout> | undefined

export function say(text: string) {
  said.set({ text })
  clearTimeout(timer)
  timer = setTimeout(() => said.set({ text: '' }), 2000)
}

export const useSaid = () => useSyncExternalStore(said.subscribe, said.get).text

/** Copies also where the page is not a secure context (plain http to another machine). */
export async function copy(text: string, words: string) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.style.position = 'fixed'
    area.style.opacity = '0'
    document.body.append(area)
    area.select()
    document.execCommand('copy')
    area.remove()
  }
  say(words)
}

export function download(name: string, type: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}
