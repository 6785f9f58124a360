package contrail;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Load while nodes fail. It runs until a line comes on standard input, and prints what happened, one event a line.
 *
 * <p>A body is LANE-NUMBER. Lines: "A millis lane number broker queue offset" for an acknowledged message, "F millis lane number
 * reason" for one that failed after the client's own tries, "C millis lane number broker queue offset" for a consumed one.
 */
final class Chaos {
    private static final int LANES = 48;
    private static final PrintStream OUT = new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16), false);

    private Chaos() {}

    private static void print(String line) {
        synchronized (OUT) {
            OUT.println(line);
        }
    }

    private static Thread untilAsked() {
        Thread t = new Thread(() -> {
            try {
                System.in.read();
            } catch (Exception e) {
                System.err.println(e);
            }
        });
        t.setDaemon(true);
        t.start();
        return t;
    }

    /** Sends RATE messages a second, given as the system property rate, with the client's own retries. */
    static void produce(String address, String prefix) throws Exception {
        int rate = Integer.getInteger("rate", 2000);
        DefaultMQProducer p = new DefaultMQProducer(prefix + "p-chaos");
        p.setNamesrvAddr(address);
        p.start();
        Thread asked = untilAsked();
        Thread[] lanes = new Thread[LANES];
        for (int i = 0; i < LANES; i++) {
            int lane = i;
            lanes[i] = new Thread(() -> lane(p, prefix + "chaos", lane, TimeUnit.SECONDS.toNanos(1) * LANES / rate, asked));
            lanes[i].start();
        }
        for (Thread t : lanes) {
            t.join();
        }
        OUT.flush();
        p.shutdown();
    }

    private static void lane(DefaultMQProducer p, String topic, int lane, long every, Thread asked) {
        long next = System.nanoTime();
        for (long n = 0; asked.isAlive(); n++) {
            long wait = next - System.nanoTime();
            if (wait > 0) {
                java.util.concurrent.locks.LockSupport.parkNanos(wait);
            } else if (wait < -TimeUnit.MILLISECONDS.toNanos(200)) {
                next = System.nanoTime(); // what was missed while a node was away is not caught up
            }
            next += every;
            one(p, topic, lane, n);
        }
    }

    private static void one(DefaultMQProducer p, String topic, int lane, long n) {
        Message m = new Message(topic, "t", (lane + "-" + n).getBytes());
        try {
            SendResult r = p.send(m);
            print("A " + System.currentTimeMillis() + " " + lane + " " + n + " " + r.getMessageQueue().getBrokerName() + " "
                + r.getMessageQueue().getQueueId() + " " + r.getQueueOffset());
        } catch (Exception e) {
            print("F " + System.currentTimeMillis() + " " + lane + " " + n + " " + e.toString().replace('\n', ' '));
        }
    }

    /** An orderly consumer of the same topic. */
    static void consume(String address, String prefix) throws Exception {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(prefix + "g-chaos");
        c.setNamesrvAddr(address);
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.subscribe(prefix + "chaos", "*");
        c.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> {
            for (MessageExt m : msgs) {
                print("C " + System.currentTimeMillis() + " " + new String(m.getBody()).replace('-', ' ') + " " + m.getBrokerName() + " "
                    + m.getQueueId() + " " + m.getQueueOffset());
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        c.start();
        Thread asked = untilAsked();
        while (asked.isAlive()) {
            Thread.sleep(100);
            OUT.flush();
        }
        c.shutdown();
        OUT.flush();
    }
}
