package contrail;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * The unmodified Java client against a name server: Suite ADDRESS SCENARIO PREFIX. Exit code 0 says that all checks held.
 */
public final class Suite extends Scenario {

    private Suite(String address, String prefix) {
        super(address, prefix);
    }

    public static void main(String[] args) throws Exception {
        Suite s = new Suite(args[0], args[2]);
        try {
            s.run(args[1]);
            System.out.println("OK " + args[1]);
            s.close();
            System.exit(0);
        } catch (Throwable t) {
            t.printStackTrace();
            System.exit(1);
        }
    }

    private void run(String scenario) throws Exception {
        switch (scenario) {
            case "all" -> {
                sends();
                compressed();
                tags();
                broadcast();
                rebalance();
                litePull();
            }
            case "consumers" -> Consumers.run(address, prefix);
            case "delays" -> Delays.run(address, prefix);
            case "transactions" -> Transactions.run(address, prefix);
            case "pop" -> Pops.run(address, prefix);
            case "admin" -> Admins.run(address, prefix);
            case "first-half" -> firstHalf();
            case "second-half" -> secondHalf();
            case "chaos-produce" -> Chaos.produce(address, prefix);
            case "chaos-consume" -> Chaos.consume(address, prefix);
            default -> throw new IllegalArgumentException(scenario);
        }
    }

    private String name(String s) {
        return prefix + s;
    }

    private DefaultMQPushConsumer consumer(String group, String instance, String topic, String tags, Set<String> seen) throws Exception {
        DefaultMQPushConsumer c = consumer(group, instance);
        c.subscribe(topic, tags);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                seen.add(new String(m.getBody()));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return c;
    }

    private static Set<String> set() {
        return ConcurrentHashMap.newKeySet();
    }

    /** Sync, async, one-way and batch sends; every message is consumed with its body, tag and keys. */
    private void sends() throws Exception {
        String topic = name("sends");
        DefaultMQProducer p = producer("p-sends");
        Set<String> expected = set();
        for (int i = 0; i < 20; i++) {
            SendResult r = p.send(message(topic, "t", "sync" + i));
            check(r.getSendStatus() == SendStatus.SEND_OK, "status " + r);
            check(r.getMsgId() != null && r.getOffsetMsgId() != null && r.getMessageQueue().getTopic().equals(topic), "result " + r);
            expected.add("sync" + i);
        }
        CountDownLatch acked = new CountDownLatch(200);
        AtomicReference<Throwable> failed = new AtomicReference<>();
        for (int i = 0; i < 200; i++) {
            p.send(message(topic, "t", "async" + i), new SendCallback() {
                @Override
                public void onSuccess(SendResult r) {
                    acked.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failed.set(e);
                    acked.countDown();
                }
            });
            expected.add("async" + i);
        }
        check(acked.await(30, TimeUnit.SECONDS) && failed.get() == null, "async sends: " + failed.get());
        for (int i = 0; i < 20; i++) {
            p.sendOneway(message(topic, "t", "oneway" + i));
            expected.add("oneway" + i);
        }
        List<Message> batch = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            batch.add(message(topic, "t", "batch" + i));
            expected.add("batch" + i);
        }
        SendResult r = p.send(batch);
        check(r.getSendStatus() == SendStatus.SEND_OK && r.getOffsetMsgId().split(",").length == 50, "batch result " + r);
        Set<String> seen = set();
        consumer("g-sends", "c-sends", topic, "*", seen).start();
        await("all kinds of sends are consumed: " + seen.size() + " of " + expected.size(), () -> seen.containsAll(expected));
        MessageExt m = p.viewMessage(topic, p.send(message(topic, "t", "viewed")).getMsgId());
        check(new String(m.getBody()).equals("viewed") && "t".equals(m.getTags()) && m.getKeys().equals("key-viewed"), "viewed " + m);
        check(p.queryMessage(topic, "key-sync3", 10, 0, Long.MAX_VALUE).getMessageList().size() == 1, "query by key");
    }

    /** A body over the compression threshold comes back as it was. */
    private void compressed() throws Exception {
        String topic = name("compressed");
        DefaultMQProducer p = producer("p-compressed");
        String body = "0123456789abcdef".repeat(4096);
        p.send(new Message(topic, "t", "big", body.getBytes()));
        Set<String> seen = set();
        consumer("g-compressed", "c-compressed", topic, "*", seen).start();
        await("a compressed message", () -> seen.contains(body));
    }

    /** A tag subscription gets its tags and nothing else. */
    private void tags() throws Exception {
        String topic = name("tags");
        DefaultMQProducer p = producer("p-tags");
        for (int i = 0; i < 60; i++) {
            p.send(message(topic, List.of("a", "b", "c").get(i % 3), "m" + i));
        }
        Set<String> seen = set();
        consumer("g-tags", "c-tags", topic, "a || c", seen).start();
        await("tagged messages", () -> seen.size() >= 40);
        p.send(message(topic, "a", "last"));
        await("the last one", () -> seen.contains("last"));
        check(seen.size() == 41 && !seen.contains("m1"), "tag filter let through " + seen.size());
    }

    /** Every broadcast consumer gets every message. */
    private void broadcast() throws Exception {
        String topic = name("broadcast");
        DefaultMQProducer p = producer("p-broadcast");
        p.send(message(topic, "t", "makes the topic"));
        List<Set<String>> seen = List.of(set(), set());
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer c = consumer("g-broadcast", "c-broadcast" + i, topic, "*", seen.get(i));
            broadcasting(c);
            c.start();
        }
        await("both broadcast consumers are there", () -> {
            try {
                p.send(message(topic, "t", "probe"));
                Thread.sleep(50);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return seen.get(0).contains("probe") && seen.get(1).contains("probe");
        });
        for (int i = 0; i < 40; i++) {
            p.send(message(topic, "t", "m" + i));
        }
        for (Set<String> s : seen) {
            await("a broadcast consumer has all", () -> s.size() >= 41);
        }
    }

    /** The enum moved to another package in 5.x. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static void broadcasting(DefaultMQPushConsumer c) throws Exception {
        for (Method m : DefaultMQPushConsumer.class.getMethods()) {
            if (m.getName().equals("setMessageModel")) {
                m.invoke(c, Enum.valueOf((Class<Enum>) m.getParameterTypes()[0], "BROADCASTING"));
            }
        }
    }

    /** A second consumer joins and one leaves while messages flow: nothing is lost. */
    private void rebalance() throws Exception {
        String topic = name("rebalance");
        DefaultMQProducer p = producer("p-rebalance");
        Set<String> one = set();
        Set<String> two = set();
        p.send(message(topic, "t", "first"));
        DefaultMQPushConsumer a = consumer("g-rebalance", "c-rebalance-a", topic, "*", one);
        a.start();
        await("the first consumer works", () -> one.contains("first"));
        DefaultMQPushConsumer b = consumer("g-rebalance", "c-rebalance-b", topic, "*", two);
        b.start();
        AtomicInteger n = new AtomicInteger();
        await("both consumers have queues", () -> {
            try {
                for (int i = 0; i < 8; i++) {
                    p.send(message(topic, "t", "r" + n.getAndIncrement()));
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return one.size() > 10 && two.size() > 10;
        });
        a.shutdown();
        for (int i = 0; i < 40; i++) {
            p.send(message(topic, "t", "r" + n.getAndIncrement()));
        }
        await("nothing is lost: " + n.get(), () -> {
            for (int i = 0; i < n.get(); i++) {
                if (!one.contains("r" + i) && !two.contains("r" + i)) {
                    return false;
                }
            }
            return true;
        });
    }

    private void litePull() throws Exception {
        String topic = name("lite");
        DefaultMQProducer p = producer("p-lite");
        for (int i = 0; i < 30; i++) {
            p.send(message(topic, i % 2 == 0 ? "a" : "b", "m" + i));
        }
        DefaultLitePullConsumer c = new DefaultLitePullConsumer(name("g-lite"));
        c.setNamesrvAddr(address);
        c.setInstanceName(name("c-lite"));
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "a");
        c.start();
        closers.add(c::shutdown);
        Set<String> seen = set();
        await("lite pull", () -> {
            c.poll(100).forEach(m -> seen.add(new String(m.getBody())));
            return seen.size() == 15;
        });
    }

    /** Sends 100, consumes them, stops: the offsets are kept by the broker. */
    private void firstHalf() throws Exception {
        String topic = name("halves");
        DefaultMQProducer p = producer("p-halves");
        for (int i = 0; i < 100; i++) {
            p.send(message(topic, "t", "before" + i));
        }
        Set<String> seen = set();
        DefaultMQPushConsumer c = consumer("g-halves", "c-halves", topic, "*", seen);
        c.start();
        await("the first half", () -> seen.size() == 100);
        // A message is seen before the client counts it as consumed, and a shutdown forgets what it has not counted.
        await("the first half's offsets", () -> c.getDefaultMQPushConsumerImpl().getOffsetStore().cloneOffsetTable(topic).values().stream()
            .mapToLong(Long::longValue).sum() == 100);
        c.shutdown();
        for (int i = 0; i < 20; i++) {
            p.send(message(topic, "t", "between" + i));
        }
    }

    /** After a restart of the broker and of the client: only what was not consumed comes. */
    private void secondHalf() throws Exception {
        String topic = name("halves");
        DefaultMQProducer p = producer("p-halves2");
        for (int i = 0; i < 20; i++) {
            p.send(message(topic, "t", "after" + i));
        }
        Set<String> seen = set();
        consumer("g-halves", "c-halves2", topic, "*", seen).start();
        await("the second half", () -> seen.size() >= 40);
        check(seen.size() == 40 && seen.stream().noneMatch(s -> s.startsWith("before")), "offsets were not kept: " + seen);
    }
}
