package contrail;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Transactional messages: committed at once, rolled back, decided when asked, and decided by another producer of the group. */
final class Transactions extends Scenario {
    private final Map<String, AtomicInteger> asked = new ConcurrentHashMap<>();

    private Transactions(String address, String prefix) {
        super(address, prefix);
    }

    static void run(String address, String prefix) throws Exception {
        try (Transactions t = new Transactions(address, prefix)) {
            t.decided();
            t.orphaned();
        }
    }

    /** A producer decides by the body's first word, at once or when it is asked. */
    private TransactionMQProducer producer(String group, String instance) throws Exception {
        TransactionMQProducer p = new TransactionMQProducer(prefix + group);
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
        return started(p, instance);
    }

    private static String word(Message m) {
        return new String(m.getBody()).split("-")[0];
    }

    private Set<String> consume(String group, String topic) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer c = consumer(group, group);
        c.subscribe(topic, "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                check(seen.add(new String(m.getBody())), "twice: " + new String(m.getBody()));
                check(m.getTopic().equals(topic) && m.getKeys().startsWith("key-") && m.getProperty("TRAN_MSG") == null, "came as " + m);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        return seen;
    }

    private void decided() throws Exception {
        String topic = prefix + "txn";
        TransactionMQProducer p = producer("p-txn", "p-txn");
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
        gone.shutdown(); // again at the end, which does nothing
        TransactionMQProducer heir = producer("p-orphans", "p-orphans-2");
        heir.sendMessageInTransaction(message(topic, "commit-heir"), null);
        Set<String> seen = consume("g-orphans", topic);
        await("the orphan, " + seen, () -> seen.contains("later-orphan") && seen.contains("commit-heir"));
    }
}
