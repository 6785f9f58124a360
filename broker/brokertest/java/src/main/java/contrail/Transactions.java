package contrail;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Transactional messages: committed at once, rolled back, decided when asked, and decided by another producer of the group. */
final class Transactions {
    private final String address;
    private final String prefix;
    private final List<Runnable> closers = new ArrayList<>();
    private final Map<String, AtomicInteger> asked = new ConcurrentHashMap<>();

    private Transactions(String address, String prefix) {
        this.address = address;
        this.prefix = prefix;
    }

    static void run(String address, String prefix) throws Exception {
        Transactions t = new Transactions(address, prefix);
        try {
            t.decided();
            t.orphaned();
        } finally {
            t.closers.forEach(Runnable::run);
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

    /** A producer decides by the body's first word, at once or when it is asked. */
    private TransactionMQProducer producer(String group, String instance) throws Exception {
        TransactionMQProducer p = new TransactionMQProducer(prefix + group);
        p.setNamesrvAddr(address);
        p.setInstanceName(prefix + instance);
        p.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
                return switch (word(m)) {
                    case "commit" -> LocalTransactionState.COMMIT_MESSAGE;
                    case "rollback" -> LocalTransactionState.ROLLBACK_MESSAGE;
                    default -> LocalTransactionState.UNKNOW;
                };
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                String body = new String(m.getBody());
                int times = asked.computeIfAbsent(body, b -> new AtomicInteger()).incrementAndGet();
                check(m.getTopic().startsWith(prefix) && m.getTransactionId() != null, "asked about " + m);
                return switch (word(m)) {
                    case "later" -> LocalTransactionState.COMMIT_MESSAGE;
                    case "second" -> times < 2 ? LocalTransactionState.UNKNOW : LocalTransactionState.COMMIT_MESSAGE;
                    case "regret" -> LocalTransactionState.ROLLBACK_MESSAGE;
                    default -> LocalTransactionState.UNKNOW;
                };
            }
        });
        p.start();
        return p;
    }

    private static String word(Message m) {
        return new String(m.getBody()).split("-")[0];
    }

    private Set<String> consume(String group, String topic) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(prefix + group);
        c.setNamesrvAddr(address);
        c.setInstanceName(prefix + group);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(topic, "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                check(seen.add(new String(m.getBody())), "twice: " + new String(m.getBody()));
                check(m.getTopic().equals(topic) && m.getKeys().startsWith("key-") && m.getProperty("TRAN_MSG") == null, "came as " + m);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        closers.add(c::shutdown);
        return seen;
    }

    private static Message message(String topic, String body) {
        return new Message(topic, "t", "key-" + body, body.getBytes());
    }

    private void decided() throws Exception {
        String topic = prefix + "txn";
        TransactionMQProducer p = producer("p-txn", "p-txn");
        closers.add(p::shutdown);
        for (int i = 0; i < 5; i++) {
            for (String word : List.of("commit", "rollback", "later", "second", "regret")) {
                TransactionSendResult r = p.sendMessageInTransaction(message(topic, word + "-" + i), null);
                check(r.getTransactionId() != null && r.getMsgId() != null, "result " + r);
            }
        }
        Set<String> seen = consume("g-txn", topic);
        await("committed messages, " + seen, () -> seen.size() == 15);
        check(seen.stream().allMatch(b -> b.matches("(commit|later|second)-.*")), "seen " + seen);
        await("all are asked about", () -> asked.size() == 15);
        asked.forEach((body, times) -> check(times.get() == (body.startsWith("second") ? 2 : 1), body + " was asked about " + times + " times"));
    }

    /** The producer that began it is gone: another one of its group is asked. */
    private void orphaned() throws Exception {
        String topic = prefix + "orphans";
        TransactionMQProducer gone = producer("p-orphans", "p-orphans-1");
        gone.sendMessageInTransaction(message(topic, "later-orphan"), null);
        gone.shutdown();
        TransactionMQProducer heir = producer("p-orphans", "p-orphans-2");
        closers.add(heir::shutdown);
        heir.sendMessageInTransaction(message(topic, "commit-heir"), null);
        Set<String> seen = consume("g-orphans", topic);
        await("the orphan, " + seen, () -> seen.contains("later-orphan") && seen.contains("commit-heir"));
    }
}
