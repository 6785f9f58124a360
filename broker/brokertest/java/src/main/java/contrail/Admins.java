package contrail;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.apache.commons.cli.Options;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.admin.api.MessageTrack;
import org.apache.rocketmq.tools.command.MQAdminStartup;
import org.apache.rocketmq.tools.command.message.QueryMsgByIdSubCommand;

/** What operators do with the unmodified admin client and mqadmin, beside running consumers. Classes that moved in 5.x are not named. */
final class Admins extends Scenario {
    private static final int QUEUES = 4;
    private final DefaultMQAdminExt admin = new DefaultMQAdminExt(30_000);
    private final DefaultMQProducer producer;

    private Admins(String address, String prefix) throws Exception {
        super(address, prefix);
        Path home = Files.createTempDirectory("rocketmq-home"); // older tools demand it
        Files.writeString(Files.createDirectory(home.resolve("conf")).resolve("logback_tools.xml"), "<configuration/>");
        System.setProperty("rocketmq.home.dir", home.toString());
        admin.setNamesrvAddr(address);
        admin.setInstanceName(prefix + "admin");
        admin.start();
        closers.add(admin::shutdown);
        producer = producer("p-admin");
    }

    static void run(String address, String prefix) throws Exception {
        try (Admins a = new Admins(address, prefix)) {
            a.clones();
            a.direct();
            a.directOrdered();
            a.resets();
            a.tracks();
            a.spans();
            a.commands();
        }
    }

    /** What was sent to each queue of a topic, by offset. */
    private final class Filled {
        final String topic;
        final List<List<SendResult>> sent = new ArrayList<>();
        final String broker;

        Filled(String name, int each) throws Exception {
            topic = prefix + name;
            broker = producerBroker();
            for (int q = 0; q < QUEUES; q++) {
                sent.add(new ArrayList<>());
            }
            more(each);
        }

        void more(int each) throws Exception {
            for (int q = 0; q < QUEUES; q++) {
                for (int i = 0; i < each; i++) {
                    SendResult r = producer.send(message(topic, body(q, sent.get(q).size())), queue(q));
                    check(r.getQueueOffset() == sent.get(q).size() && r.getMessageQueue().getQueueId() == q, "sent as " + r);
                    sent.get(q).add(r);
                }
            }
        }

        MessageQueue queue(int q) {
            return new MessageQueue(topic, broker, q);
        }

        /** The bodies from an offset of each queue on. */
        Set<String> from(int... offsets) {
            Set<String> all = new TreeSet<>();
            for (int q = 0; q < QUEUES; q++) {
                for (int i = offsets[q]; i < sent.get(q).size(); i++) {
                    all.add(body(q, i));
                }
            }
            return all;
        }

        MessageExt stored(int q, int i) throws Exception {
            return admin.viewMessage(topic, sent.get(q).get(i).getOffsetMsgId());
        }
    }

    private static String body(int q, int i) {
        return "q" + q + "-" + i;
    }

    /** How often a consumer got what; it says to each message what it is told to say. */
    private final class Reader {
        final Map<String, Integer> seen = new ConcurrentSkipListMap<>();
        final Map<String, MessageExt> last = new ConcurrentHashMap<>();
        final DefaultMQPushConsumer consumer;
        volatile Function<MessageExt, Object> says = m -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS;

        Reader(String group, String tags, String... topics) throws Exception {
            consumer = consumer(group, group);
            consumer.setConsumeMessageBatchMaxSize(1);
            for (String topic : topics) {
                consumer.subscribe(topic, tags);
            }
        }

        Reader start() throws Exception {
            consumer.registerMessageListener((MessageListenerConcurrently) (msgs, ctx) -> (ConsumeConcurrentlyStatus) took(msgs.get(0)));
            consumer.start();
            return this;
        }

        Reader startOrdered() throws Exception {
            consumer.registerMessageListener((MessageListenerOrderly) (msgs, ctx) -> (ConsumeOrderlyStatus) took(msgs.get(0)));
            consumer.start();
            return this;
        }

        private Object took(MessageExt m) {
            String body = new String(m.getBody());
            last.put(body, m);
            seen.merge(body, 1, Integer::sum);
            return says.apply(m);
        }

        /** The group's committed offsets of a topic become these; the client alone stores its first ones after ten seconds. */
        void at(String topic, long each) throws InterruptedException {
            String group = consumer.getConsumerGroup().substring(prefix.length());
            await("the place of " + group, () -> {
                consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
                return offsets(group, topic).equals(List.of(each, each, each, each));
            });
        }

        /** Everything was seen so often, and nothing else was. */
        void saw(String what, Map<String, Integer> expected) throws InterruptedException {
            await(what + ": seen " + seen + ", expected " + expected, () -> seen.equals(expected));
        }
    }

    private static Map<String, Integer> times(int n, Set<String> bodies) {
        Map<String, Integer> all = new TreeMap<>();
        bodies.forEach(b -> all.put(b, n));
        return all;
    }

    private static Map<String, Integer> sum(Map<String, Integer> a, Map<String, Integer> b) {
        Map<String, Integer> all = new TreeMap<>(a);
        b.forEach((k, n) -> all.merge(k, n, Integer::sum));
        return all;
    }

    private String brokerAddr() {
        var client = producer.getDefaultMQProducerImpl().getMqClientFactory();
        return client.findBrokerAddressInPublish(producerBroker());
    }

    private String producerBroker() {
        try {
            return producer.fetchPublishMessageQueues("TBW102").get(0).getBrokerName();
        } catch (MQClientException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A group's committed offsets in a topic, by queue. */
    private List<Long> offsets(String group, String topic) {
        try {
            Map<Integer, Long> found = new TreeMap<>();
            admin.examineConsumeStats(prefix + group, topic).getOffsetTable().forEach((q, o) -> found.put(q.getQueueId(), o.getConsumerOffset()));
            return List.copyOf(found.values());
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private String clientOf(String group) throws Exception {
        var connections = admin.examineConsumerConnectionInfo(prefix + group).getConnectionSet();
        check(connections.size() == 1, "connections of " + group + ": " + connections);
        return connections.iterator().next().getClientId();
    }

    private static void sleepPast(long millis) throws InterruptedException {
        while (System.currentTimeMillis() <= millis) {
            Thread.sleep(1);
        }
    }

    /** A group that gets another one's place (314) goes on exactly there: of a source that is offline, and of one that is online. */
    private void clones() throws Exception {
        Filled f = new Filled("cloned", 10);
        Filled other = new Filled("cloned-too", 3);
        Reader source = new Reader("g-clone-from", "*", f.topic).start();
        source.saw("the source has all", times(1, f.from(0, 0, 0, 0)));
        source.at(f.topic, 10);
        for (int q = 0; q < QUEUES; q++) {
            admin.updateConsumeOffset(brokerAddr(), prefix + "g-clone-from", other.queue(q), q);
        }
        admin.cloneGroupOffset(prefix + "g-clone-from", prefix + "g-clone-online", null, false);
        source.consumer.shutdown();
        for (int q = 0; q < QUEUES; q++) {
            admin.updateConsumeOffset(brokerAddr(), prefix + "g-clone-from", f.queue(q), 1 + 2 * q);
        }
        admin.cloneGroupOffset(prefix + "g-clone-from", prefix + "g-clone-offline", f.topic, true);
        f.more(2);
        Reader offline = new Reader("g-clone-offline", "*", f.topic).start();
        Reader online = new Reader("g-clone-online", "*", f.topic).start();
        offline.saw("a clone of an offline group", times(1, f.from(1, 3, 5, 7)));
        online.saw("a clone of an online group", times(1, f.from(10, 10, 10, 10)));
        Reader unsubscribed = new Reader("g-clone-too", "*", other.topic);
        admin.cloneGroupOffset(prefix + "g-clone-from", prefix + "g-clone-too", other.topic, true);
        unsubscribed.start().saw("a clone in another topic", times(1, other.from(0, 1, 2, 3)));
        offline.at(f.topic, 12);
        // The online source did not subscribe to the other topic: the first clone has no place there.
        check(admin.examineConsumeStats(prefix + "g-clone-online").getOffsetTable().keySet().stream().noneMatch(q -> q.getTopic().equals(other.topic)),
            "a topic was cloned to which the online source does not subscribe");
        offline.consumer.shutdown();
        online.consumer.shutdown();
        unsubscribed.consumer.shutdown();
    }

    /** One message is consumed once more, directly (309), and what the listener says comes back; nothing else changes. And how the client does (307). */
    private void direct() throws Exception {
        Filled f = new Filled("direct", 5);
        String group = prefix + "g-direct";
        Reader r = new Reader("g-direct", "*", f.topic).start();
        r.saw("all", times(1, f.from(0, 0, 0, 0)));
        r.at(f.topic, 5);
        String client = clientOf("g-direct");
        Map<String, Function<MessageExt, Object>> cases = new TreeMap<>(Map.of(
            "CR_SUCCESS", m -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS,
            "CR_LATER", m -> ConsumeConcurrentlyStatus.RECONSUME_LATER,
            "CR_RETURN_NULL", m -> null,
            "CR_THROW_EXCEPTION", m -> {
                throw new IllegalStateException("too hot for " + new String(m.getBody()));
            }));
        Map<String, Integer> expected = times(1, f.from(0, 0, 0, 0));
        int i = 0;
        for (var c : cases.entrySet()) {
            r.says = c.getValue();
            SendResult sent = f.sent.get(i).get(i);
            String id = i % 2 == 0 ? sent.getMsgId() : sent.getOffsetMsgId();
            var result = admin.consumeMessageDirectly(group, client, f.topic, id);
            check(result.getConsumeResult().toString().equals(c.getKey()) && !result.isOrder() && result.isAutoCommit() && result.getSpentTimeMills() >= 0, "for " + c.getKey() + ": " + result);
            check(!c.getKey().equals("CR_THROW_EXCEPTION") || result.getRemark().contains("too hot for " + body(i, i)), "remark " + result.getRemark());
            expected = sum(expected, Map.of(body(i, i), 1));
            MessageExt m = r.last.get(body(i, i));
            check(m.getTopic().equals(f.topic) && m.getQueueId() == i && m.getQueueOffset() == i && m.getReconsumeTimes() == 0 && m.getKeys().equals("key-" + body(i, i)) && "t".equals(m.getTags())
                && sent.getMsgId().equals(m.getProperty("UNIQ_KEY")), "consumed directly: " + m);
            i++;
        }
        r.says = m -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        try {
            admin.consumeMessageDirectly(group, "nobody@1", f.topic, f.sent.get(0).get(0).getMsgId());
            check(false, "a client that is not there consumed");
        } catch (MQClientException e) {
            check(e.getMessage().contains("not online"), "the client says " + e.getMessage());
        }
        info(f, group, client);
        f.more(1);
        r.saw("one more of each, and what was consumed directly", sum(expected, times(1, f.from(5, 5, 5, 5))));
        check(admin.examineTopicStats("%RETRY%" + group).getOffsetTable().values().stream().allMatch(o -> o.getMaxOffset() == 0), "it is retried");
        r.consumer.shutdown();
    }

    private void info(Filled f, String group, String client) throws Exception {
        var info = admin.getConsumerRunningInfo(group, client, true);
        check(info.getJstack().contains("ConsumeMessageThread_") && info.getJstack().contains("TID:") && info.getJstack().contains("STATE:"), "stacks " + info.getJstack());
        check(info.getProperties().getProperty("PROP_CONSUME_TYPE").equals("CONSUME_PASSIVELY") && info.getProperties().getProperty("PROP_NAMESERVER_ADDR").contains(address.split(";")[0]),
            "properties " + info.getProperties());
        Set<String> topics = new TreeSet<>();
        info.getSubscriptionSet().forEach(s -> topics.add(s.getTopic() + " " + s.getSubString()));
        check(topics.equals(Set.of(f.topic + " *", "%RETRY%" + group + " *")), "subscriptions " + topics);
        for (int q = 0; q < QUEUES; q++) {
            var p = info.getMqTable().get(f.queue(q));
            check(p != null && p.getCommitOffset() == 5 && p.getCachedMsgCount() == 0 && !p.isDroped(), "queue " + q + ": " + p);
        }
        check(info.getStatusTable().containsKey(f.topic), "queues " + info.getMqTable().keySet() + ", status " + info.getStatusTable());
        String without = admin.getConsumerRunningInfo(group, client, false).getJstack();
        check(without == null || without.isEmpty(), "stacks that nobody asked for");
    }

    /** The same of an ordered consumer, whose answers have other names. */
    private void directOrdered() throws Exception {
        Filled f = new Filled("direct-ordered", 2);
        Reader r = new Reader("g-direct-ordered", "*", f.topic);
        r.says = m -> ConsumeOrderlyStatus.SUCCESS;
        r.startOrdered().saw("all", times(1, f.from(0, 0, 0, 0)));
        String client = clientOf("g-direct-ordered");
        Map<String, ConsumeOrderlyStatus> cases = new TreeMap<>(Map.of("CR_SUCCESS", ConsumeOrderlyStatus.SUCCESS, "CR_LATER", ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT));
        for (var c : cases.entrySet()) {
            r.says = m -> c.getValue();
            var result = admin.consumeMessageDirectly(prefix + "g-direct-ordered", client, f.topic, f.sent.get(1).get(1).getMsgId());
            check(result.getConsumeResult().toString().equals(c.getKey()) && result.isOrder(), "for " + c.getKey() + ": " + result);
        }
        r.saw("two more of one", sum(times(1, f.from(0, 0, 0, 0)), Map.of(body(1, 1), 2)));
        r.consumer.shutdown();
    }

    /** A running group is moved back to a time, another one in one queue: both get exactly that again. An offline one is moved, too. */
    private void resets() throws Exception {
        Filled f = new Filled("moved", 6);
        Reader byTime = new Reader("g-moved-time", "*", f.topic).start();
        Reader byQueue = new Reader("g-moved-queue", "*", f.topic).start();
        long middle = f.stored(QUEUES - 1, 5).getStoreTimestamp() + 1;
        sleepPast(middle);
        f.more(4);
        for (Reader r : List.of(byTime, byQueue)) {
            r.saw("all", times(1, f.from(0, 0, 0, 0)));
            r.at(f.topic, 10);
        }
        Map<MessageQueue, Long> to = admin.resetOffsetByTimestamp(f.topic, prefix + "g-moved-time", middle, true);
        Map<MessageQueue, Long> expected = new HashMap<>();
        for (int q = 0; q < QUEUES; q++) {
            expected.put(f.queue(q), 6L);
        }
        check(to.equals(expected), "reset to " + to);
        boolean one = resetOneQueue("g-moved-queue", f.topic, 2, 7);
        byTime.saw("what came after the time, again", sum(times(1, f.from(0, 0, 0, 0)), times(1, f.from(6, 6, 6, 6))));
        byQueue.saw("what is in one queue, again", sum(times(1, f.from(0, 0, 0, 0)), one ? times(1, f.from(10, 10, 7, 10)) : Map.of()));
        byTime.consumer.shutdown();
        byQueue.consumer.shutdown();
        admin.resetOffsetNew(prefix + "g-moved-time", f.topic, middle);
        new Reader("g-moved-time", "*", f.topic).start().saw("a group that was offline", times(1, f.from(6, 6, 6, 6)));
    }

    /** False: this client cannot; 4.9.8 has no such reset. */
    private boolean resetOneQueue(String group, String topic, int queue, long offset) throws Exception {
        try {
            admin.getClass().getMethod("resetOffsetByQueueId", String.class, String.class, String.class, int.class, long.class)
                .invoke(admin, brokerAddr(), prefix + group, topic, queue, offset);
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    /** What became of one message in each kind of group that knows its topic. */
    private void tracks() throws Exception {
        Filled f = new Filled("tracked", 2);
        Reader gone = new Reader("g-track-gone", "*", f.topic).start();
        gone.saw("all", times(1, f.from(0, 0, 0, 0)));
        gone.at(f.topic, 2);
        gone.consumer.shutdown();
        List<Reader> readers = new ArrayList<>(List.of(new Reader("g-track-all", "*", f.topic).start(), new Reader("g-track-other", "other", f.topic).start()));
        CountDownLatch never = new CountDownLatch(1);
        Reader stuck = new Reader("g-track-stuck", "*", f.topic);
        stuck.says = m -> {
            try {
                never.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
        readers.add(stuck.start());
        DefaultLitePullConsumer lite = new DefaultLitePullConsumer(prefix + "g-track-pull");
        lite.setNamesrvAddr(address);
        lite.setInstanceName(prefix + "g-track-pull");
        lite.subscribe(f.topic, "*");
        lite.start();
        closers.add(lite::shutdown);
        MessageExt m = f.stored(2, 1);
        Map<String, String> expected = Map.of("g-track-all", "CONSUMED", "g-track-other", "CONSUMED_BUT_FILTERED", "g-track-stuck", "NOT_CONSUME_YET",
            "g-track-gone", "NOT_ONLINE", "g-track-pull", "PULL");
        AtomicReference<Map<String, String>> found = new AtomicReference<>(Map.of());
        try {
            await("tracks " + expected, () -> {
                readers.forEach(r -> r.consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset());
                found.set(trackOf(m));
                return found.get().equals(expected);
            });
        } catch (IllegalStateException e) {
            throw new IllegalStateException("tracks are " + found, e);
        }
        never.countDown();
        stuck.at(f.topic, 2);
        check("CONSUMED".equals(trackOf(m).get("g-track-stuck")), "the stuck one's track");
    }

    private Map<String, String> trackOf(MessageExt m) {
        try {
            Map<String, String> found = new TreeMap<>();
            for (MessageTrack t : admin.messageTrackDetail(m)) {
                found.put(t.getConsumerGroup().substring(prefix.length()), t.getTrackType().toString());
            }
            return found;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** How far a group is in each queue, as times. */
    private void spans() throws Exception {
        Filled f = new Filled("spans", 1);
        for (int i = 0; i < 4; i++) {
            sleepPast(System.currentTimeMillis() + 2);
            f.more(1);
        }
        int[] consumed = {0, 1, 3, 5};
        for (int q = 1; q < QUEUES; q++) {
            admin.updateConsumeOffset(brokerAddr(), prefix + "g-spans", f.queue(q), consumed[q]);
        }
        long before = System.currentTimeMillis();
        var spans = admin.queryConsumeTimeSpan(f.topic, prefix + "g-spans");
        long after = System.currentTimeMillis();
        check(spans.size() == QUEUES, "spans " + spans);
        for (var s : spans) {
            int q = s.getMessageQueue().getQueueId();
            long next = consumed[q] == 5 ? 0 : f.stored(q, consumed[q]).getStoreTimestamp();
            check(s.getMessageQueue().equals(f.queue(q)) && s.getMinTimeStamp() == f.stored(q, 0).getStoreTimestamp() && s.getMaxTimeStamp() == f.stored(q, 4).getStoreTimestamp()
                && s.getConsumeTimeStamp() == f.stored(q, Math.max(0, consumed[q] - 1)).getStoreTimestamp(), "span " + s);
            check(next == 0 ? s.getDelayTime() == 0 : s.getDelayTime() >= before - next && s.getDelayTime() <= after - next, "delay of queue " + q + ": " + s.getDelayTime());
        }
    }

    /** What mqadmin prints. */
    private String mqadmin(String... args) {
        List<String> all = new ArrayList<>(List.of(args));
        all.addAll(List.of("-n", address));
        PrintStream out = System.out;
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        System.setOut(new PrintStream(text, true));
        try {
            MQAdminStartup.main0(all.toArray(String[]::new), new RPCHook() {
                @Override
                public void doBeforeRequest(String addr, RemotingCommand request) {
                }

                @Override
                public void doAfterResponse(String addr, RemotingCommand request, RemotingCommand response) {
                }
            });
        } finally {
            System.setOut(out);
        }
        return text.toString();
    }

    /** What mqadmin prints has a line with these words, one after the other. */
    private static void line(String text, Object... words) {
        List<String> expected = new ArrayList<>();
        for (Object w : words) {
            expected.add(String.valueOf(w));
        }
        check(text.lines().anyMatch(l -> {
            List<String> got = List.of(l.trim().split("\\s+"));
            return got.size() >= expected.size() && got.subList(0, expected.size()).equals(expected);
        }), "no line " + expected + " in:\n" + text);
    }

    /** mqadmin's commands say what is so. */
    private void commands() throws Exception {
        Filled f = new Filled("commands", 4);
        Reader r = new Reader("g-commands", "*", f.topic).start();
        r.saw("all", times(1, f.from(0, 0, 0, 0)));
        r.at(f.topic, 4);
        String group = prefix + "g-commands";
        line(mqadmin("consumerProgress"), group, 1);
        r.consumer.shutdown();
        long middle = f.stored(QUEUES - 1, 3).getStoreTimestamp() + 1;
        sleepPast(middle);
        f.more(3);
        String topics = mqadmin("topicList");
        for (String topic : List.of(f.topic, "%RETRY%" + group, "TBW102")) {
            line(topics, topic);
        }
        String progress = mqadmin("consumerProgress", "-g", group);
        String status = mqadmin("topicStatus", "-t", f.topic);
        for (int q = 0; q < QUEUES; q++) {
            line(progress, f.topic, f.broker, q, 7, 4, 3);
            line(status, f.broker, q, 0, 7);
        }
        check(progress.contains("Diff Total: 12"), "progress\n" + progress);
        SendResult sent = f.sent.get(3).get(2);
        String[] byId = new QueryMsgByIdSubCommand().buildCommandlineOptions(new Options()).hasOption("t") // since 5.2
            ? new String[] {"queryMsgById", "-i", sent.getOffsetMsgId(), "-t", f.topic} : new String[] {"queryMsgById", "-i", sent.getOffsetMsgId()};
        for (String text : List.of(mqadmin(byId), mqadmin("queryMsgByUniqueKey", "-t", f.topic, "-i", sent.getMsgId()))) {
            line(text, "Topic:", f.topic);
            line(text, "Keys:", "[key-" + body(3, 2) + "]");
            line(text, "Queue", "ID:", 3);
            line(text, "Queue", "Offset:", 2);
        }
        line(mqadmin("queryMsgByKey", "-t", f.topic, "-k", "key-" + body(3, 2)), sent.getMsgId(), 3, 2);
        line(mqadmin("clusterList"), "DefaultCluster", f.broker, 0, brokerAddr());
        mqadmin("cloneGroupOffset", "-s", group, "-d", prefix + "g-commands2", "-t", f.topic, "-o", "true");
        String reset = mqadmin("resetOffsetByTime", "-g", group, "-t", f.topic, "-s", String.valueOf(middle - 1_000_000));
        for (int q = 0; q < QUEUES; q++) {
            line(reset, f.broker, q, 0);
        }
        new Reader("g-commands", "*", f.topic).start().saw("all again, after a reset by mqadmin", times(1, f.from(0, 0, 0, 0)));
        new Reader("g-commands2", "*", f.topic).start().saw("a clone by mqadmin", times(1, f.from(4, 4, 4, 4)));
    }
}
