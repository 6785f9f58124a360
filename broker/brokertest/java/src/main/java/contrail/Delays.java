package contrail;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Delayed, scheduled and cancelled messages, retries and dead letters: contents, counts, intervals and order. */
final class Delays extends Scenario {
    /** RocketMQ's delay levels, ms; only those that a test can wait for. */
    private static final long[] LEVELS = {0, 1_000, 5_000, 10_000};
    /** How late a message may come on a busy machine; never may it come early. */
    private static final long LATE = 5_000;


    private Delays(String address, String prefix) {
        super(address, prefix);
    }

    static void run(String address, String prefix) throws Exception {
        try (Delays d = new Delays(address, prefix)) {
            d.delivered();
            d.retried();
            d.ordered();
        }
    }

    /** A recall as the 5.5.0 client has it; older ones have none. */
    private static String recall(DefaultMQProducer p, String topic, SendResult r) throws Exception {
        String handle = (String) SendResult.class.getMethod("getRecallHandle").invoke(r);
        return (String) DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class).invoke(p, topic, handle);
    }

    private static boolean recalls() {
        try {
            DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class);
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    private void delivered() throws Exception {
        String topic = prefix + "delayed";
        DefaultMQProducer p = producer("p-delays");
        Map<String, Long> due = new HashMap<>();
        Map<String, MessageExt> seen = new ConcurrentHashMap<>();
        Set<String> twice = ConcurrentHashMap.newKeySet();
        p.send(message(topic, "now"));
        for (int level = 1; level <= 3; level++) {
            Message m = message(topic, "level" + level);
            m.setDelayTimeLevel(level);
            due.put("level" + level, System.currentTimeMillis() + LEVELS[level]);
            p.send(m);
        }
        for (int i = 0; i < 20; i++) {
            String body = "at" + i;
            Message m = message(topic, body);
            long at = System.currentTimeMillis() + 1500 + 137 * i;
            m.putUserProperty("n", String.valueOf(i));
            put(m, "TIMER_DELIVER_MS", at);
            due.put(body, at);
            p.send(m);
        }
        Message past = message(topic, "past");
        put(past, "TIMER_DELIVER_MS", System.currentTimeMillis() - 60_000);
        p.send(past);
        for (int i = 0; i < 4 && recalls(); i++) {
            Message m = message(topic, "cancelled" + i);
            put(m, "TIMER_DELAY_MS", 6_000);
            SendResult r = p.send(m);
            check(r.getMsgId().equals(recall(p, topic, r)), "recalled another message than " + r);
            boolean again = true;
            try {
                recall(p, topic, r);
            } catch (java.lang.reflect.InvocationTargetException e) {
                again = !(e.getCause() instanceof MQBrokerException b && b.getResponseCode() == 604);
            }
            check(!again, "a message is recalled twice");
        }
        DefaultMQPushConsumer c = consumer("g-delayed", "g-delayed");
        c.subscribe(topic, "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                if (seen.put(new String(m.getBody()), m) != null) {
                    twice.add(new String(m.getBody()));
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        await("delayed messages, " + seen.keySet(), () -> seen.size() == due.size() + 2);
        for (Map.Entry<String, Long> e : due.entrySet()) {
            MessageExt m = seen.get(e.getKey());
            long late = m.getStoreTimestamp() - e.getValue();
            check(late >= 0, e.getKey() + " came " + -late + " ms early");
            check(late < LATE, e.getKey() + " came " + late + " ms late");
            check(m.getTopic().equals(topic) && m.getKeys().equals("key-" + e.getKey()) && "t".equals(m.getTags()), "came as " + m);
        }
        check(twice.isEmpty(), "came twice: " + twice);
        check(String.valueOf(seen.get("level3").getProperty("DELAY")).equals("3"), "without its delay level: " + seen.get("level3"));
        Thread.sleep(Math.max(0, due.get("level3") - System.currentTimeMillis())); // by then what was cancelled would have come
        check(seen.keySet().stream().noneMatch(b -> b.startsWith("cancelled")), "a cancelled message came: " + seen.keySet());
    }

    private static void put(Message m, String name, long value) {
        try {
            var put = Message.class.getDeclaredMethod("putProperty", String.class, String.class);
            put.setAccessible(true);
            put.invoke(m, name, String.valueOf(value));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A message that fails each time is retried at the levels that the client names, and then is a dead letter. */
    private void retried() throws Exception {
        String topic = prefix + "poison";
        String group = "g-poison";
        Map<Integer, MessageExt> attempts = new ConcurrentHashMap<>();
        Map<Integer, Long> failed = new ConcurrentHashMap<>();
        Set<String> good = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer c = consumer(group, group);
        c.subscribe(topic, "*");
        c.setMaxReconsumeTimes(2);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                if (!new String(m.getBody()).equals("poison")) {
                    good.add(new String(m.getBody()));
                    continue;
                }
                check(attempts.put(m.getReconsumeTimes(), m) == null, "attempt " + m.getReconsumeTimes() + " twice");
                failed.put(m.getReconsumeTimes(), System.currentTimeMillis());
                ctx.setDelayLevelWhenNextConsume(1 + m.getReconsumeTimes());
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        DefaultMQProducer p = producer("p-poison");
        SendResult sent = p.send(message(topic, "poison"));
        for (int i = 0; i < 10; i++) {
            p.send(message(topic, "good" + i));
        }
        c.start();
        List<MessageExt> dead = deadLetters(group, 1);
        check(attempts.size() == 3, "attempts " + new TreeSet<>(attempts.keySet()));
        for (int i = 1; i <= 2; i++) {
            MessageExt m = attempts.get(i);
            long waited = m.getStoreTimestamp() - failed.get(i - 1);
            check(waited >= LEVELS[i] && waited < LEVELS[i] + LATE, "attempt " + i + " came after " + waited + " ms");
            check(m.getTopic().equals(topic) && m.getMsgId().equals(sent.getMsgId()) && m.getKeys().equals("key-poison"), "attempt " + m);
        }
        MessageExt d = dead.get(0);
        check(new String(d.getBody()).equals("poison") && d.getReconsumeTimes() == 3 && topic.equals(d.getProperty("RETRY_TOPIC")), "dead letter " + d);
        check(sent.getOffsetMsgId().equals(d.getProperty("ORIGIN_MESSAGE_ID")), "its origin is " + d.getProperty("ORIGIN_MESSAGE_ID") + ", sent as " + sent);
        await("the others, " + good, () -> good.size() == 10);
    }

    /** An ordered consumer tries again in place, nothing behind passes, and what it gives up is a dead letter at once. */
    private void ordered() throws Exception {
        String topic = prefix + "ordered";
        String group = "g-ordered";
        List<String> order = java.util.Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer c = consumer(group, group);
        c.subscribe(topic, "*");
        c.setMaxReconsumeTimes(2);
        c.setSuspendCurrentQueueTimeMillis(200);
        c.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                order.add(new String(m.getBody()));
                if (new String(m.getBody()).equals("m2")) {
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        DefaultMQProducer p = producer("p-ordered");
        for (int i = 0; i < 5; i++) {
            p.send(message(topic, "m" + i), (queues, m, arg) -> queues.get(0), null);
        }
        c.start();
        List<MessageExt> dead = deadLetters(group, 1);
        check(new String(dead.get(0).getBody()).equals("m2") && topic.equals(dead.get(0).getProperty("RETRY_TOPIC")), "dead letter " + dead);
        await("what was behind it, " + order, () -> order.contains("m4"));
        check(order.equals(List.of("m0", "m1", "m2", "m2", "m2", "m3", "m4")), "consumed " + order);
    }
}
