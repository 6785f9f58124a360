"""The unmodified Python client of RocketMQ 5: suite.py ENDPOINT PREFIX. Topics PREFIXnormal, PREFIXfifo, PREFIXdelay and PREFIXtxn of these types must exist,
and groups PREFIXg-fifo, which consumes in order, and PREFIXg-push, with two retries after 1 and 2 s. Exit code 0 says that all checks held."""

import os
import sys
import threading
import time

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, Message, MessageListener, Producer,
                      PushConsumer, SimpleConsumer, TransactionChecker, TransactionResolution)

endpoint, prefix = sys.argv[1:3]
config = ClientConfiguration(endpoint, Credentials(), request_timeout=5)


def wait(what, done):
    end = time.time() + 90
    while not done():
        assert time.time() < end, f"not within 90 s: {what}"
        time.sleep(0.02)


class using:
    """A client from its start to its end."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        self.client.startup()
        return self.client

    def __exit__(self, *_):
        self.client.shutdown()


def producer(topic, **more):
    return using(Producer(config, (topic,), **more))


def simple(group, topic, expression="*"):
    return using(SimpleConsumer(config, prefix + group, {topic: FilterExpression(expression)}, await_duration=5))


def message(topic, body, **more):
    m = Message()
    m.topic, m.body, m.keys = topic, body.encode(), "key-" + body
    for name, value in more.items():
        setattr(m, name, value)
    return m


def bodies(messages):
    return sorted(m.body.decode() for m in messages)


def receive(consumer, n, invisible):
    """Takes what comes, until there are n messages, without acknowledging."""
    got = []

    def enough():
        got.extend(consumer.receive(32, invisible) or [])
        return len(got) >= n

    wait(f"{n} messages", enough)
    return got


def normal():
    topic = prefix + "normal"
    with producer(topic) as p, simple("p-all", topic, "p-tag") as c:
        want = []
        for i in range(6):
            m = message(topic, f"m{i}", tag="p-tag")
            m.add_property("n", str(i))
            assert p.send(m).message_id
            want.append(f"m{i}")
        began = time.time()
        got = receive(c, 6, 10)
        assert bodies(got) == want, bodies(got)
        for m in got:
            body = m.body.decode()
            assert m.properties["n"] == body[1:] and m.delivery_attempt == 1 and "key-" + body in m.keys, str(m)
        for m in got[:3]:
            c.ack(m)
        c.change_invisible_duration(got[3], 10)
        again = receive(c, 3, 15)
        assert time.time() - began >= 10, "it came again too soon"
        assert bodies(again) == bodies(got[3:]), bodies(again)
        for m in again:
            assert m.delivery_attempt == 2, str(m)
            c.ack(m)


class Listener(MessageListener):
    def __init__(self, consume):
        self.lock = threading.Lock()
        self.f = consume

    def consume(self, message):
        with self.lock:
            return self.f(message)


def fifo():
    topic = prefix + "fifo"
    with producer(topic) as p:
        for i in range(10):
            p.send(message(topic, f"p{i}", message_group="p-group"))
    seen = []

    def consume(m):
        seen.append(m.body.decode())
        return ConsumeResult.SUCCESS

    with using(PushConsumer(config, prefix + "g-fifo", Listener(consume), {topic: FilterExpression()})):
        wait("10 in order", lambda: len(seen) >= 10)
    assert seen == [f"p{i}" for i in range(10)], seen


def delays():
    topic = prefix + "delay"
    with producer(topic) as p, simple("p-delay", topic) as c:
        due = int(time.time()) + 3
        p.send(message(topic, "late", delivery_timestamp=due))
        r = p.send(message(topic, "recalled", delivery_timestamp=due))
        assert p.recall_message(topic, r.recall_handle) == r.message_id
        got = receive(c, 1, 15)
        assert time.time() >= due, "it came early"
        assert bodies(got) == ["late"], bodies(got)
        c.ack(got[0])
        assert not c.receive(1, 15), "the recalled one came"


def transactions():
    topic = prefix + "txn"
    asked = []

    class Checker(TransactionChecker):
        def check(self, message):
            asked.append(message.body.decode())
            return TransactionResolution.COMMIT

    with producer(topic, checker=Checker()) as p, simple("p-txn", topic) as c:
        for body in ("commit", "rollback", "orphan"):
            tx = p.begin_transaction()
            p.send(message(topic, body), tx)
            if body == "commit":
                tx.commit()
            elif body == "rollback":
                tx.rollback()
        got = receive(c, 2, 60)
        assert bodies(got) == ["commit", "orphan"], bodies(got)
        for m in got:
            c.ack(m)
        assert asked == ["orphan"], asked


def push():
    topic = prefix + "normal"
    attempts = {}

    def consume(m):
        body = m.body.decode()
        attempts.setdefault(body, []).append(m.delivery_attempt)
        failed = body == "poison" or body == "once" and len(attempts[body]) == 1
        return ConsumeResult.FAILURE if failed else ConsumeResult.SUCCESS

    with using(PushConsumer(config, prefix + "g-push", Listener(consume), {topic: FilterExpression("p-push")})), producer(topic) as p:
        for body in ("good", "once", "poison"):
            p.send(message(topic, body, tag="p-push"))
        wait("all attempts", lambda: len(attempts.get("poison", [])) >= 3 and len(attempts.get("once", [])) >= 2 and "good" in attempts)
    assert attempts == {"good": [1], "once": [1, 2], "poison": [1, 2, 3]}, attempts
    dead = f"%DLQ%{prefix}g-push"

    def there():  # the topic is made with the first dead letter
        with simple("p-dead", dead) as c:
            try:
                return "poison" in bodies(c.receive(1, 15))
            except Exception as e:
                assert dead in str(e), e
                return False

    wait("the dead letter", there)


for run in (normal, fifo, delays, transactions, push):
    run()
    print("OK", run.__name__, flush=True)
os._exit(0)  # the client leaves threads behind
