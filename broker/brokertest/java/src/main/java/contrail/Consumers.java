package contrail;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** SQL92 filters, requests with replies, and resets of a group's place, with the unmodified client. */
final class Consumers extends Scenario {

    private Consumers(String address, String prefix) {
        super(address, prefix);
    }

    static void run(String address, String prefix) throws Exception {
        try (Consumers c = new Consumers(address, prefix)) {
            c.sql();
            c.wrongSql();
            c.requests();
            c.reset();
        }
    }

    private DefaultMQPushConsumer consumer(String group, String instance, String topic, MessageSelector selector, Map<String, Integer> seen)
        throws Exception {
        DefaultMQPushConsumer c = consumer(group, instance);
        c.subscribe(topic, selector);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                seen.merge(new String(m.getBody()), 1, Integer::sum);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return c;
    }

    private static Message numbered(String topic, int n) {
        Message m = new Message(topic, n % 2 == 0 ? "even" : "odd", ("m" + n).getBytes());
        m.putUserProperty("n", String.valueOf(n));
        return m;
    }

    private static Set<String> bodies(IntStream numbers) {
        return numbers.mapToObj(n -> "m" + n).collect(Collectors.toSet());
    }

    /** A consumer gets exactly what matches, from what is there and from what comes. */
    private void sql() throws Exception {
        String topic = prefix + "sql";
        DefaultMQProducer p = producer("p-sql");
        for (int i = 0; i < 100; i++) {
            p.send(numbered(topic, i));
        }
        MessageSelector selector = MessageSelector.bySql("n BETWEEN 10 AND 29 AND TAGS = 'even' OR n > 1000");
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        consumer("g-sql", "c-sql", topic, selector, seen).start();
        Set<String> expected = bodies(IntStream.rangeClosed(10, 29).filter(n -> n % 2 == 0));
        await("what matches: " + seen, () -> seen.keySet().containsAll(expected));
        for (int i = 100; i < 120; i++) {
            p.send(numbered(topic, i));
        }
        p.send(numbered(topic, 1001));
        expected.add("m1001");
        await("what matches of what comes", () -> seen.containsKey("m1001"));
        check(seen.keySet().equals(expected) && seen.values().stream().allMatch(n -> n == 1), "the filter let through " + seen);

        DefaultLitePullConsumer lite = new DefaultLitePullConsumer(prefix + "g-sql-lite");
        lite.setNamesrvAddr(address);
        lite.setInstanceName(prefix + "c-sql-lite");
        lite.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        lite.subscribe(topic, selector);
        lite.start();
        closers.add(lite::shutdown);
        Set<String> pulled = ConcurrentHashMap.newKeySet();
        await("what matches by lite pull", () -> {
            lite.poll(100).forEach(m -> pulled.add(new String(m.getBody())));
            return pulled.containsAll(expected);
        });
        check(pulled.equals(expected), "the filter let through " + pulled);
    }

    /** A consumer with a wrong expression does not start, and says where it is wrong. */
    private void wrongSql() throws Exception {
        DefaultMQPushConsumer c = consumer("g-wrong", "c-wrong", prefix + "sql", MessageSelector.bySql("n > 5 AND\nn LIKE 3"), new ConcurrentHashMap<>());
        try {
            c.start();
        } catch (MQClientException e) {
            check(e.getResponseCode() == 23 && e.getMessage().contains("line 2, column 3"), "the client says " + e.getMessage());
            return;
        }
        check(false, "a wrong expression is accepted");
    }

    /** A request is answered by whoever consumes it. */
    private void requests() throws Exception {
        String topic = prefix + "requests";
        DefaultMQProducer asks = producer("p-asks");
        DefaultMQProducer answers = producer("p-answers");
        asks.send(numbered(topic, 0));
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(prefix + "g-answers");
        c.setNamesrvAddr(address);
        c.setInstanceName(prefix + "c-answers");
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "question");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                try {
                    answers.send(MessageUtil.createReplyMessage(m, ("answer to " + new String(m.getBody())).getBytes()), 3000);
                } catch (Exception e) {
                    e.printStackTrace();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        closers.add(c::shutdown);
        for (int i = 0; i < 20; i++) {
            Message reply = asks.request(new Message(topic, "question", ("q" + i).getBytes()), 30_000);
            check(new String(reply.getBody()).equals("answer to q" + i), "reply " + new String(reply.getBody()));
        }
    }

    private void resetTo(MQClientInstance client, String topic, String group, long millis) throws Exception {
        client.updateTopicRouteInfoFromNameServer(topic);
        String broker = client.findBrokerAddressInPublish("broker-a");
        client.getMQClientAPIImpl().invokeBrokerToResetOffset(broker, topic, group, millis, true, 5000);
    }

    /** A group that is moved back gets the messages again: while it consumes, and when it is offline and comes back. */
    private void reset() throws Exception {
        String topic = prefix + "reset";
        String group = prefix + "g-reset";
        DefaultMQProducer p = producer("p-reset");
        for (int i = 0; i < 40; i++) {
            p.send(numbered(topic, i));
        }
        Map<String, Integer> seen = new ConcurrentHashMap<>();
        DefaultMQPushConsumer c = consumer("g-reset", "c-reset", topic, MessageSelector.byTag("*"), seen);
        c.start();
        await("all is consumed", () -> seen.size() == 40);
        resetTo(p.getDefaultMQProducerImpl().getMqClientFactory(), topic, group, 0);
        await("all is consumed again: " + seen, () -> seen.values().stream().allMatch(n -> n >= 2));
        c.shutdown();
        Thread.sleep(5);
        long middle = System.currentTimeMillis();
        Thread.sleep(5);
        for (int i = 40; i < 60; i++) {
            p.send(numbered(topic, i));
        }
        resetTo(p.getDefaultMQProducerImpl().getMqClientFactory(), topic, group, -1);
        resetTo(p.getDefaultMQProducerImpl().getMqClientFactory(), topic, group, middle);
        Map<String, Integer> later = new ConcurrentHashMap<>();
        consumer("g-reset", "c-reset2", topic, MessageSelector.byTag("*"), later).start();
        await("what came after the time", () -> later.size() >= 20);
        check(later.keySet().equals(bodies(IntStream.range(40, 60))), "a group that was offline got " + later);
    }
}
