package contrail;

import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Push consumers whose topic an operator put into POP mode: they share a queue, and what fails comes again and dies. 5.x only. */
final class Pops extends Scenario {

    private Pops(String address, String prefix) {
        super(address, prefix);
    }

    static void run(String address, String prefix) throws Exception {
        try {
            DefaultMQPushConsumer.class.getMethod("setClientRebalance", boolean.class);
        } catch (NoSuchMethodException e) {
            return;
        }
        try (Pops p = new Pops(address, prefix)) {
            p.shared();
            p.failing();
        }
    }

    /** What an operator's tool sends. */
    private static void admin(DefaultMQProducer p, String broker, int code, String body) throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        request.setBody(body.getBytes());
        var client = p.getDefaultMQProducerImpl().getMqClientFactory();
        RemotingCommand answer = client.getMQClientAPIImpl().getRemotingClient().invokeSync(client.findBrokerAddressInPublish(broker), request, 10_000);
        check(answer.getCode() == 0, "request " + code + ": code " + answer.getCode() + " " + answer.getRemark());
    }

    /** Makes a group with few retries, and has it pop a topic. */
    private void popping(DefaultMQProducer p, SendResult sent, String topic, String group) throws Exception {
        String broker = sent.getMessageQueue().getBrokerName();
        admin(p, broker, 200, "{\"groupName\":\"" + prefix + group + "\",\"retryMaxTimes\":2}");
        admin(p, broker, 401, "{\"topic\":\"" + topic + "\",\"consumerGroup\":\"" + prefix + group + "\",\"mode\":\"POP\",\"popShareQueueNum\":0}");
    }

    private DefaultMQPushConsumer consumer(String group, String instance, String topic) throws Exception {
        DefaultMQPushConsumer c = consumer(group, instance);
        c.subscribe(topic, "*");
        c.getClass().getMethod("setClientRebalance", boolean.class).invoke(c, false);
        return c;
    }

    /** Two consumers work on the one queue of a topic at once, and each message comes to one of them, once. */
    private void shared() throws Exception {
        String topic = prefix + "popped";
        DefaultMQProducer p = producer("p-popped");
        p.setDefaultTopicQueueNums(1);
        popping(p, p.send(message(topic, "first")), topic, "g-popped");
        Map<String, AtomicInteger> seen = new ConcurrentHashMap<>();
        List<Set<String>> by = List.of(ConcurrentHashMap.newKeySet(), ConcurrentHashMap.newKeySet());
        for (int i = 0; i < 2; i++) {
            Set<String> mine = by.get(i);
            DefaultMQPushConsumer c = consumer("g-popped", "c-popped" + i, topic);
            c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
                for (MessageExt m : msgs) {
                    check(m.getQueueId() == 0 && m.getProperty("POP_CK") != null, "not popped: " + m);
                    seen.computeIfAbsent(new String(m.getBody()), k -> new AtomicInteger()).incrementAndGet();
                    mine.add(new String(m.getBody()));
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            c.start();
        }
        AtomicInteger n = new AtomicInteger();
        await("both consumers work on the queue, " + seen.keySet(), () -> {
            try {
                for (int i = 0; i < 10; i++) {
                    p.send(message(topic, "m" + n.getAndIncrement()));
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return by.stream().allMatch(s -> s.size() > 20);
        });
        await("all of " + n, () -> seen.size() == n.get() + 1);
        check(seen.values().stream().allMatch(i -> i.get() == 1), "came twice: " + seen);
    }

    /** What fails comes again when its time is over, with its count; what fails too often is a dead letter. */
    private void failing() throws Exception {
        String topic = prefix + "pop-poison";
        String group = "g-pop-poison";
        DefaultMQProducer p = producer("p-pop-poison");
        p.setDefaultTopicQueueNums(1);
        SendResult sent = p.send(message(topic, "poison"));
        popping(p, sent, topic, group);
        p.send(message(topic, "weak"));
        for (int i = 0; i < 10; i++) {
            p.send(message(topic, "good" + i));
        }
        Map<String, Map<Integer, MessageExt>> attempts = new ConcurrentHashMap<>();
        DefaultMQPushConsumer c = consumer(group, "c-pop-poison", topic);
        quick(c);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                String body = new String(m.getBody());
                check(attempts.computeIfAbsent(body, k -> new ConcurrentHashMap<>()).put(m.getReconsumeTimes(), m) == null, "attempt " + m.getReconsumeTimes() + " twice: " + m);
                if (body.equals("poison") || body.equals("weak") && m.getReconsumeTimes() == 0) {
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        MessageExt d = deadLetters(group, 1).get(0);
        check(attempts.size() == 12 && attempts.get("poison").keySet().equals(Set.of(0, 1, 2)) && attempts.get("weak").keySet().equals(Set.of(0, 1)),
            "attempts " + new TreeMap<>(attempts).entrySet().stream().map(e -> e.getKey() + e.getValue().keySet()).toList());
        for (MessageExt m : attempts.get("poison").values()) {
            check(m.getTopic().equals(topic) && m.getMsgId().equals(sent.getMsgId()) && m.getKeys().equals("key-poison") && "t".equals(m.getTags()), "attempt " + m);
        }
        check(new String(d.getBody()).equals("poison") && d.getReconsumeTimes() == 3 && topic.equals(d.getProperty("RETRY_TOPIC")), "dead letter " + d);
        check(sent.getOffsetMsgId().equals(d.getProperty("ORIGIN_MESSAGE_ID")), "its origin is " + d.getProperty("ORIGIN_MESSAGE_ID") + ", sent as " + sent);
    }

    /** Has a consumer ask for what failed after a second; its own times begin with ten. */
    private static void quick(DefaultMQPushConsumer c) throws Exception {
        Field levels = c.getDefaultMQPushConsumerImpl().getClass().getDeclaredField("popDelayLevel");
        levels.setAccessible(true);
        Arrays.fill((int[]) levels.get(c.getDefaultMQPushConsumerImpl()), 1);
    }

}
