export const happenings: Record<string, string> = {
  'a consumer joined': '消费者加入',
  'a consumer left: its connection closed': '消费者离开：连接已断开',
  'a consumer left: it unregistered': '消费者离开：已注销',
  'a consumer left: no heartbeat for 120 s': '消费者离开：120 秒无心跳',
  'topic created or changed': '主题已创建或变更',
  'topic deleted': '主题已删除',
  'group created or changed': '消费组已创建或变更',
  'group deleted': '消费组已删除',
  'its connection closed': '连接已断开',
}
