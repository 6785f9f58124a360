// What can be done with a message from its life: resend its dead letters, cancel what waits, let a client consume it once more.
import { useState } from 'react'
import type { MessageLife, Message } from '../../api/types'
import { useT } from '../../i18n'
import { dead, ownerOf, parked, userTopic } from '../../lib/copies'
import { copiesOf } from '../../lib/waterfall/model'
import { Act } from '../../parts/dialog'
import { ResendDialog, type Letter } from '../dead/resend'
import { CancelDialog } from '../scheduled/cancel'
import { VerifyDialog } from './verify'

/** A copy in a dead-letter queue, as the dialog knows letters; it was resent when another copy names it. */
export function letterOf(m: Message, copies: Message[]): Letter {
  const copy = copies.find((c) => c.resentFrom === m.offsetId)
  return { broker: m.broker, offset: m.queueOffset, topic: userTopic(m), uniqKey: m.id, originMessage: m.originId, keys: m.keys.join(' '), resentAt: copy ? Math.floor(copy.appendedMicros / 1000) : undefined }
}

type Open = { what: 'resend'; group: string; letters: Letter[] } | { what: 'cancel'; message: Message } | { what: 'verify' }

export function LifeActs({ life }: { life: MessageLife }) {
  const t = useT()
  const [open, setOpen] = useState<Open | undefined>()
  const copies = copiesOf(life)
  const letters = new Map<string, Message[]>()
  for (const m of copies.filter(dead)) letters.set(ownerOf(m), [...(letters.get(ownerOf(m)) ?? []), m])
  const waits = copies.find((m) => parked(m) && !m.cancelledMicros && !ownerOf(m) && m.dueMicros > life.now * 1000)
  const close = () => setOpen(undefined)
  return (
    <>
      {[...letters].map(([group, all]) => (
        <Act key={group} test="life-resend" onClick={() => setOpen({ what: 'resend', group, letters: all.map((m) => letterOf(m, copies)) })}>{letters.size > 1 ? `${t.dead.resend} · ${group}` : t.dead.resend}</Act>
      ))}
      {waits && <Act test="life-cancel" onClick={() => setOpen({ what: 'cancel', message: waits })}>{t.scheduled.cancel}</Act>}
      {life.stored && <Act test="life-verify" onClick={() => setOpen({ what: 'verify' })}>{t.verify.open}</Act>}
      {open?.what === 'resend' && <ResendDialog group={open.group} wanted={open} close={close} />}
      {open?.what === 'cancel' && <CancelDialog message={open.message} close={close} />}
      {open?.what === 'verify' && life.stored && <VerifyDialog message={life.stored} groups={life.verdicts.map((v) => v.group)} close={close} />}
    </>
  )
}
