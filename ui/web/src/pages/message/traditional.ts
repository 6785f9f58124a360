// What the traditional trace shows, in its own order. Pure.
import type { TraceRecord } from '../../api/types'

export const fields = [
  'success', 'trace_type', 'timestamp', 'group_name', 'cost_time', 'request_id', 'consume_status', 'topic', 'msg_id', 'offset_msg_id', 'tags', 'keys', 'store_host', 'client_host', 'retry_times', 'body_length', 'msg_type',
  'transaction_state', 'transaction_id', 'from_transaction_check',
] as const satisfies (keyof TraceRecord)[]

/** Per group its retrievals: what the client reported, else the retrieval alone. */
export function consumers(records: TraceRecord[]): [string, TraceRecord[]][] {
  const groups = new Map<string, TraceRecord[]>()
  const after = new Set(records.filter((r) => r.trace_type === 'SubAfter').map((r) => `${r.group_name} ${r.retry_times}`))
  for (const r of records) {
    const alone = r.trace_type === 'SubBefore' && !after.has(`${r.group_name} ${r.retry_times}`)
    if (r.trace_type !== 'SubAfter' && !alone) continue
    groups.set(r.group_name, [...(groups.get(r.group_name) ?? []), r])
  }
  return [...groups]
}
