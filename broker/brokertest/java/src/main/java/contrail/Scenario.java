package contrail;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** What all scenarios need: clients of one name server whose names have one prefix, and checks. */
abstract class Scenario implements AutoCloseable {
    final String address;
    final String prefix;
    final List<Runnable> closers = new ArrayList<>();

    Scenario(String address, String prefix) {
        this.address = address;
        this.prefix = prefix;
    }

    /** Stops the clients, the newest first. */
    @Override
    public void close() {
        Collections.reverse(closers);
        closers.forEach(Runnable::run);
        closers.clear();
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new IllegalStateException(what);
        }
    }

    static void await(String what, BooleanSupplier done) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!done.getAsBoolean()) {
            check(System.nanoTime() < end, "not within 90 s: " + what);
            Thread.sleep(20);
        }
    }

    static Message message(String topic, String body) {
        return message(topic, "t", body);
    }

    static Message message(String topic, String tag, String body) {
        return new Message(topic, tag, "key-" + body, body.getBytes());
    }

    DefaultMQProducer producer(String group) throws Exception {
        return started(new DefaultMQProducer(prefix + group), group);
    }

    <P extends DefaultMQProducer> P started(P p, String instance) throws Exception {
        p.setNamesrvAddr(address);
        p.setInstanceName(prefix + instance);
        p.setSendMsgTimeout(10_000);
        p.start();
        closers.add(p::shutdown);
        return p;
    }

    /** A push consumer that begins with the first message; it is still to be told its topic, and started. */
    DefaultMQPushConsumer consumer(String group, String instance) {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(prefix + group);
        c.setNamesrvAddr(address);
        c.setInstanceName(prefix + instance);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        closers.add(c::shutdown);
        return c;
    }

    /**
     * The dead letters of a group, when there are so many; the topic is made with the first of them.
     * It begins with the first by its setting: a seek may be taken up by the pull that it interrupts, and is then lost (4.9.8).
     */
    List<MessageExt> deadLetters(String group, int n) throws Exception {
        String topic = "%DLQ%" + prefix + group;
        List<MessageExt> found = new ArrayList<>();
        DefaultLitePullConsumer pull = new DefaultLitePullConsumer(prefix + "dlq-" + group);
        pull.setNamesrvAddr(address);
        pull.setInstanceName(prefix + "dlq-" + group);
        pull.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        pull.start();
        try {
            await("the topic " + topic, () -> {
                try {
                    pull.assign(pull.fetchMessageQueues(topic));
                    return true;
                } catch (Exception e) {
                    return false;
                }
            });
            await("dead letters of " + group, () -> {
                found.addAll(pull.poll(200));
                return found.size() >= n;
            });
        } finally {
            pull.shutdown();
        }
        check(found.size() == n, "dead letters " + found);
        return found;
    }
}
