import type * as en from '../en/later'

export const scheduled: typeof en.scheduled = {
  title: '定时消息',
  tabs: { next: '即将到期', fired: '已投递', cancelled: '已取消' },
  find: 'Key，须与设置的完全一致',
  sentence: (n, more) => (more ? `最先到期的 ${n} 条` : `${n} 条消息等待到期`),
  due: '计划时间',
  dueIn: '剩余',
  stored: '存储时间',
  cancelledAt: '取消时间',
  late: '延迟偏差',
  actual: '投递到主题',
  histogram: '到期时间的分布，与上方的时间范围无关。',
  empty: '没有等待中的定时消息',
  emptyText: '发送时设置延时级别（1 秒至 2 小时）或 TIMER_DELIVER_MS，消息到期前会列在这里。',
  far: '来自轨迹：存储时间早于轨迹保留期的不在列表中，Broker 仍会按时投递。',
  cancel: '复制取消命令',
  cancelNote: '命令已复制：先用 list 查到句柄，再用 cancel 取消。控制台不做更改。',
}

export const dead: typeof en.dead = {
  title: '死信',
  ofGroup: (g) => `${g} 的死信`,
  sentence: (n, groups) => `${groups} 个消费组共 ${n} 条死信`,
  group: '消费组',
  letters: '现存死信',
  last: '最近一条',
  topic: '消费的主题',
  attempts: '消费次数',
  died: '成为死信',
  oldest: '死信与其他消息一样按保留期清理。',
  empty: '没有死信',
  emptyText: '消费失败次数超过消费组的最大重试次数后，才会产生第一条死信及其队列。',
  resend: '复制重发命令',
  resendNote: '命令已复制，控制台不会自行重发。',
}
