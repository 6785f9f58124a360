package contrail;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.MessageListener;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * The unmodified Java client of RocketMQ 5: GrpcSuite ENDPOINT NAMESERVER PREFIX TLS. Topics PREFIXnormal, PREFIXfifo, PREFIXdelay and PREFIXtxn of these
 * types must exist, and groups PREFIXg-fifo, which consumes in order, and PREFIXg-push, with two retries after 1 and 2 s. Exit code 0 says that all checks held.
 */
public final class GrpcSuite {
    private static final Duration POLL = Duration.ofSeconds(5);
    private static final Duration INVISIBLE = Duration.ofSeconds(15);

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration config;
    private final String nameServer;
    private final String prefix;

    private GrpcSuite(String endpoint, String nameServer, String prefix, boolean tls) {
        this.config = ClientConfiguration.newBuilder().setEndpoints(endpoint).enableSsl(tls).setRequestTimeout(Duration.ofSeconds(5)).build();
        this.nameServer = nameServer;
        this.prefix = prefix;
    }

    public static void main(String[] args) {
        GrpcSuite s = new GrpcSuite(args[0], args[1], args[2], Boolean.parseBoolean(args[3]));
        try {
            s.normal();
            s.fifo();
            s.delays();
            s.transactions();
            s.push();
            s.cross();
            System.out.println("OK");
            System.exit(0);
        } catch (Throwable t) {
            t.printStackTrace();
            System.exit(1);
        }
    }

    private static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException(what);
        }
    }

    private static void await(String what, BooleanSupplier done) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!done.getAsBoolean()) {
            check(System.nanoTime() < end, "not within 90 s: " + what);
            Thread.sleep(20);
        }
    }

    private MessageBuilder message(String topic, String body) {
        return provider.newMessageBuilder().setTopic(topic).setKeys("key-" + body).setBody(body.getBytes());
    }

    private static String body(MessageView m) {
        ByteBuffer b = m.getBody();
        byte[] bytes = new byte[b.remaining()];
        b.duplicate().get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private Producer producer(String... topics) throws ClientException {
        return provider.newProducerBuilder().setClientConfiguration(config).setTopics(topics).build();
    }

    private SimpleConsumer simple(String group, String topic, FilterExpression filter) throws ClientException {
        return provider.newSimpleConsumerBuilder().setClientConfiguration(config).setConsumerGroup(prefix + group).setAwaitDuration(POLL)
            .setSubscriptionExpressions(Map.of(topic, filter)).build();
    }

    private PushConsumer push(String group, String topic, FilterExpression filter, MessageListener listener) throws ClientException {
        return provider.newPushConsumerBuilder().setClientConfiguration(config).setConsumerGroup(prefix + group)
            .setSubscriptionExpressions(Map.of(topic, filter)).setMessageListener(listener).build();
    }

    /** Takes what comes, until there are n messages, without acknowledging. */
    private static List<MessageView> receive(SimpleConsumer c, int n, Duration invisible) throws InterruptedException {
        List<MessageView> got = new ArrayList<>();
        await(n + " messages", () -> {
            try {
                got.addAll(c.receive(32, invisible));
            } catch (ClientException e) {
                throw new IllegalStateException(e);
            }
            return got.size() >= n;
        });
        return got;
    }

    private static Set<String> bodies(List<MessageView> list) {
        Set<String> all = new TreeSet<>();
        for (MessageView m : list) {
            check(all.add(body(m)), "twice: " + body(m));
        }
        return all;
    }

    private static void ack(SimpleConsumer c, List<MessageView> list) throws ClientException {
        for (MessageView m : list) {
            c.ack(m);
        }
    }

    /** Contents come as they were sent; what is not acknowledged comes again after its time, and no sooner. */
    private void normal() throws Exception {
        String topic = prefix + "normal";
        try (Producer p = producer(topic); SimpleConsumer all = simple("j-all", topic, FilterExpression.SUB_ALL);
            SimpleConsumer sql = simple("j-sql", topic, new FilterExpression("n > 5", FilterExpressionType.SQL92))) {
            Set<String> want = new TreeSet<>();
            Set<String> some = new TreeSet<>();
            for (int i = 0; i < 10; i++) {
                SendReceipt r = p.send(message(topic, "m" + i).setTag("t").addProperty("n", "" + i).build());
                check(!r.getMessageId().toString().isEmpty(), "receipt " + r);
                want.add("m" + i);
                if (i > 5) {
                    some.add("m" + i);
                }
            }
            long began = System.nanoTime();
            List<MessageView> got = receive(all, 10, Duration.ofSeconds(10));
            check(bodies(got).equals(want), "received " + bodies(got));
            for (MessageView m : got) {
                check(m.getProperties().get("n").equals(body(m).substring(1)) && m.getTag().get().equals("t") && m.getKeys().contains("key-" + body(m)) && m.getDeliveryAttempt() == 1, "" + m);
            }
            ack(all, got.subList(0, 5));
            all.changeInvisibleDuration(got.get(5), Duration.ofSeconds(10));
            List<MessageView> again = receive(all, 5, INVISIBLE);
            check(System.nanoTime() - began >= TimeUnit.SECONDS.toNanos(10), "it came again too soon");
            check(bodies(again).equals(bodies(got.subList(5, 10))), "again " + bodies(again));
            check(again.stream().allMatch(m -> m.getDeliveryAttempt() == 2), "attempts of " + again);
            ack(all, again);
            List<MessageView> filtered = receive(sql, some.size(), INVISIBLE);
            check(bodies(filtered).equals(some), "by SQL " + bodies(filtered));
            ack(sql, filtered);
        }
    }

    /** The messages of a group come in the order in which they were sent; one that fails is tried again before those behind it. */
    private void fifo() throws Exception {
        String topic = prefix + "fifo";
        Map<String, List<String>> seen = new ConcurrentHashMap<>();
        try (Producer p = producer(topic)) {
            for (int i = 0; i < 20; i++) {
                p.send(message(topic, String.format("j%d-%02d", i % 2, i)).setMessageGroup("j-group-" + i % 2).build());
            }
        }
        try (PushConsumer c = push("g-fifo", topic, FilterExpression.SUB_ALL, m -> {
            seen.computeIfAbsent(m.getMessageGroup().get(), k -> Collections.synchronizedList(new ArrayList<>())).add(body(m));
            return ConsumeResult.SUCCESS;
        })) {
            await("20 in order, " + seen, () -> seen.getOrDefault("j-group-0", List.of()).size() + seen.getOrDefault("j-group-1", List.of()).size() >= 20);
        }
        for (String g : List.of("j-group-0", "j-group-1")) {
            List<String> list = seen.get(g);
            check(list.size() == 10 && list.equals(list.stream().sorted().toList()), g + " came as " + list);
        }
    }

    /** Recall came with 5.0.8. */
    private static boolean recalls() {
        try {
            SendReceipt.class.getMethod("getRecallHandle");
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    private static void recall(Producer p, String topic, SendReceipt r) throws Exception {
        if (recalls()) {
            String handle = (String) SendReceipt.class.getMethod("getRecallHandle").invoke(r);
            Object receipt = Producer.class.getMethod("recallMessage", String.class, String.class).invoke(p, topic, handle);
            Object id = Class.forName("org.apache.rocketmq.client.apis.producer.RecallReceipt").getMethod("getMessageId").invoke(receipt);
            check(id.toString().equals(r.getMessageId().toString()), "recalled " + id + ", sent " + r);
        }
    }

    /** Never early; a recalled one never comes. */
    private void delays() throws Exception {
        String topic = prefix + "delay";
        Map<String, Long> due = new ConcurrentHashMap<>();
        try (Producer p = producer(topic); SimpleConsumer c = simple("j-delay", topic, FilterExpression.SUB_ALL)) {
            for (int i = 0; i < 3; i++) {
                long at = System.currentTimeMillis() + 2000 + 1000 * i;
                due.put("d" + i, at);
                SendReceipt r = p.send(message(topic, "d" + i).setDeliveryTimestamp(at).build());
                if (i == 2) {
                    recall(p, topic, r);
                }
            }
            Set<String> want = recalls() ? Set.of("d0", "d1") : Set.of("d0", "d1", "d2");
            List<MessageView> got = receive(c, want.size(), INVISIBLE);
            long now = System.currentTimeMillis();
            check(bodies(got).equals(want) && got.stream().allMatch(m -> now >= due.get(body(m))), "received " + bodies(got));
            ack(c, got);
            check(c.receive(1, INVISIBLE).isEmpty(), "the recalled one came");
        }
    }

    /** Committed ones come, rolled back ones never, undecided ones are asked about. */
    private void transactions() throws Exception {
        String topic = prefix + "txn";
        Map<String, Integer> asked = new ConcurrentHashMap<>();
        try (Producer p = provider.newProducerBuilder().setClientConfiguration(config).setTopics(topic).setTransactionChecker(m -> {
            int n = asked.merge(body(m), 1, Integer::sum);
            return body(m).equals("j-orphan") ? n > 1 ? TransactionResolution.COMMIT : TransactionResolution.UNKNOWN : TransactionResolution.ROLLBACK;
        }).build(); SimpleConsumer c = simple("j-txn", topic, FilterExpression.SUB_ALL)) {
            for (String body : List.of("j-commit", "j-rollback", "j-orphan", "j-lost")) {
                Transaction tx = p.beginTransaction();
                p.send(message(topic, body).build(), tx);
                if (body.equals("j-commit")) {
                    tx.commit();
                } else if (body.equals("j-rollback")) {
                    tx.rollback();
                }
            }
            List<MessageView> got = receive(c, 2, Duration.ofSeconds(60));
            check(bodies(got).equals(Set.of("j-commit", "j-orphan")), "received " + bodies(got));
            ack(c, got);
            await("the question about the lost one", () -> asked.containsKey("j-lost"));
            check(asked.equals(Map.of("j-orphan", 2, "j-lost", 1)), "asked " + asked);
        }
    }

    /** What fails comes again with its attempts counted, and is a dead letter after the last one. */
    private void push() throws Exception {
        String topic = prefix + "normal";
        Map<String, List<Integer>> attempts = new ConcurrentHashMap<>();
        try (PushConsumer c = push("g-push", topic, new FilterExpression("j-push"), m -> {
            List<Integer> list = attempts.computeIfAbsent(body(m), k -> Collections.synchronizedList(new ArrayList<>()));
            list.add(m.getDeliveryAttempt());
            return body(m).equals("poison") || body(m).equals("once") && list.size() == 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        }); Producer p = producer(topic)) {
            for (String body : List.of("good", "once", "poison")) {
                p.send(message(topic, body).setTag("j-push").build());
            }
            await("all attempts, " + attempts, () -> attempts.getOrDefault("poison", List.of()).size() >= 3 && attempts.getOrDefault("once", List.of()).size() >= 2 && attempts.containsKey("good"));
        }
        check(attempts.equals(Map.of("good", List.of(1), "once", List.of(1, 2), "poison", List.of(1, 2, 3))), "attempts " + attempts);
    }

    /** A message sent by gRPC is consumed by a remoting push consumer, and the other way round. */
    private void cross() throws Exception {
        String topic = prefix + "normal";
        Map<String, MessageExt> remoting = new ConcurrentHashMap<>();
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(prefix + "j-remoting");
        c.setNamesrvAddr(nameServer);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "j-cross");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            msgs.forEach(m -> remoting.put(new String(m.getBody()), m));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        DefaultMQProducer q = new DefaultMQProducer(prefix + "j-remoting-p");
        q.setNamesrvAddr(nameServer);
        try (Producer p = producer(topic); SimpleConsumer s = simple("j-cross", topic, new FilterExpression("j-cross"))) {
            c.start();
            q.start();
            SendReceipt r = p.send(message(topic, "by-grpc").setTag("j-cross").addProperty("color", "red").build());
            org.apache.rocketmq.common.message.Message m = new org.apache.rocketmq.common.message.Message(topic, "j-cross", "key-by-remoting", "by-remoting".getBytes());
            m.putUserProperty("color", "blue");
            String id = q.send(m).getMsgId();
            await("both by remoting, " + remoting.keySet(), () -> remoting.size() >= 2);
            MessageExt by = remoting.get("by-grpc");
            check(by.getMsgId().equals(r.getMessageId().toString()) && by.getKeys().equals("key-by-grpc") && by.getUserProperty("color").equals("red"), "sent as " + r + ", came as " + by);
            List<MessageView> got = receive(s, 2, INVISIBLE);
            check(bodies(got).equals(Set.of("by-grpc", "by-remoting")), "by gRPC " + bodies(got));
            MessageView view = got.stream().filter(x -> body(x).equals("by-remoting")).findFirst().get();
            check(view.getMessageId().toString().equals(id) && view.getProperties().get("color").equals("blue") && view.getKeys().contains("key-by-remoting"), "sent as " + id + ", came as " + view);
            ack(s, got);
        } finally {
            c.shutdown();
            q.shutdown();
        }
    }
}
