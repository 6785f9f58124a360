// A broker without a message: what to copy so that the first one comes. It opens its own page when it is here.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { get } from '../../api/client'
import type { Matches, Message, Node } from '../../api/types'
import { now, useEvery } from '../../app/live'
import { useT } from '../../i18n'
import { Code } from '../../parts/small'
import { Choice } from '../../parts/filters'
import { useUrl } from '../../app/url'

const java = (address: string) => `// org.apache.rocketmq:rocketmq-client:5.5.0
DefaultMQProducer producer = new DefaultMQProducer("first-producer");
producer.setNamesrvAddr("${address}");
producer.start();

Message message = new Message("first-topic", "hello", "key-1", "Hello, Contrail".getBytes(StandardCharsets.UTF_8));
System.out.println(producer.send(message).getMsgId());
producer.shutdown();`

const go = (address: string) => `// go get github.com/apache/rocketmq-client-go/v2
p, err := rocketmq.NewProducer(producer.WithNsResolver(primitive.NewPassthroughResolver([]string{"${address}"})))
if err != nil {
	log.Fatal(err)
}
if err := p.Start(); err != nil {
	log.Fatal(err)
}
defer p.Shutdown()

msg := primitive.NewMessage("first-topic", []byte("Hello, Contrail")).WithTag("hello").WithKeys([]string{"key-1"})
res, err := p.SendSync(context.Background(), msg)
fmt.Println(res.MsgID, err)`

function useFirst(): Message | undefined {
  const [since] = useState(() => (now() - 60_000) * 1000)
  const every = useEvery(1000)
  const query = useQuery<Matches>({
    queryKey: ['first', since],
    refetchInterval: (q) => (q.state.data?.messages.length ? false : every),
    queryFn: ({ signal }) => get<Matches>('/messages', { from: since, to: (now() + 60_000) * 1000, limit: 1 }, signal),
  })
  return query.data?.messages[0]
}

export function Empty({ node }: { node: Node }) {
  const t = useT()
  const navigate = useNavigate()
  const [params] = useUrl()
  const first = useFirst()
  useEffect(() => {
    if (first) void navigate({ to: '/messages/$id', params: { id: first.id } as never })
  }, [first, navigate])
  const address = node.nameServer || node.storeHost
  return (
    <div className="answer" style={{ maxWidth: 880 }} data-test="empty">
      <h2>{t.overview.emptyTitle}</h2>
      <p>{t.overview.emptyText}</p>
      <div className="row" style={{ margin: '16px 0 8px' }}>
        <Choice name="lang" label="SDK" standard="java" options={[{ id: 'java', label: t.overview.emptyJava }, { id: 'go', label: t.overview.emptyGo }]} />
      </div>
      {params.lang === 'go' ? <Code text={go(address)} what="Go" /> : <Code text={java(address)} what="Java" />}
    </div>
  )
}
